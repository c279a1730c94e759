"""What all tests share."""

from __future__ import annotations

from typing import Any


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Name a CDK token by what it is: its text has a number that differs from process to process."""
    if isinstance(val, str) and "Token[" in val:
        return "a token"
    if isinstance(val, float) and val < -1e200:
        return "a token for a number"
    return None
