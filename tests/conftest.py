"""What all tests share."""

from __future__ import annotations

import os
from typing import Any


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Name a CDK token by what it is: its text has a number that differs from process to process."""
    if isinstance(val, str) and "Token[" in val:
        return "a token"
    if isinstance(val, float) and val < -1e200:
        return "a token for a number"
    return None


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a rehearsal waits for its servers and its clock a good part of the time."""
    return (os.cpu_count() or 1) + 1
