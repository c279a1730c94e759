"""Versions: what the page calls each registered model version, and which colour it has in every picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COLOURS = 6
_UNREGISTERED = "unregistered"


class Versions:
    """All versions that a report names."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Find them."""
        self.all = sorted(set(_named(content)), key=_place)
        self._groups = {_place(arn)[0] for arn in self.all}

    def name(self, arn: str | None) -> str:
        """A version in words: with the model's name if there are several models."""
        if not arn or arn == _UNREGISTERED:
            return "a model that is not registered"
        group, number = _place(arn)
        return f"version {number}" if len(self._groups) < 2 else f"{group} version {number}"

    def colour(self, arn: str | None) -> int:
        """The number of its colour, from 1 on; 0 for what is not registered."""
        return self.all.index(arn) % _COLOURS + 1 if arn in self.all else 0


def _place(arn: str) -> tuple[str, int]:
    group, _, number = arn.rpartition("model-package/")[2].rpartition("/")
    return group, int(number) if number.isdecimal() else 0


def _named(content: Mapping[str, Any]) -> Iterator[str]:
    arns = [each["model_package_arn"] for key in ("versions", "endpoints", "windows") for each in content[key]]
    for release in content["releases"]:
        arns += [release["from"], release["to"], *release["requests"]["by_version"]]
    yield from (arn for arn in arns if arn and arn != _UNREGISTERED)
