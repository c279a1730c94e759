"""Events: what happens in a rehearsal after the execution before has ended, as ``[[then]]`` lists it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["Answer", "Event", "EventError", "Retry", "read_event"]

Answer = Literal["yes", "no", "ask"]
Retry = int | Literal["all"]

CONTENT_TYPES = {".csv": "text/csv", ".jsonl": "application/json"}
"""What each line of a file that is sent is, by the file's suffix."""

_KEYS = ("push", "upload", "release", "approve", "retry", "name", "send", "labels", "pass")
_PASS = re.compile(r"(?P<count>[1-9]\d{0,3})(?P<unit>[hd])")
_SECONDS = {"h": 3600, "d": 86400}
# InferenceId has 64 characters at most; the number of a line and a hyphen need some of them.
_LONGEST_STEM = 50


class EventError(Exception):
    """What is wrong with an event, in one line."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens after the execution before has ended, in the order of these attributes.

    Attributes:
        name: What it is called while it happens, and in the report.
        approve: How the approvals of what it starts are answered.
        retry: Stage name to how a person retries it after a failure: the failed actions so many times, or
            ``"all"`` actions once.
        release: The registered version that the pipeline is started with.
        push: Source name to the folder whose content is pushed there.
        upload: Key under the data bucket to the local file that is uploaded there.
        send: Endpoint name to the file whose lines it is asked, each in a request of its own.
        labels: Endpoint name to the file that tells what was true: an inference id and a label in each line.
        pass_seconds: How much time passes then.
    """

    name: str = ""
    approve: Answer | None = None
    retry: Mapping[str, Retry] = field(default_factory=dict)
    release: str | None = None
    push: Mapping[str, Path] = field(default_factory=dict)
    upload: Mapping[str, Path] = field(default_factory=dict)
    send: Mapping[str, Path] = field(default_factory=dict)
    labels: Mapping[str, Path] = field(default_factory=dict)
    pass_seconds: int = 0


def read_event(content: Mapping[str, Any], paths: Callable[[str, Mapping[str, str]], dict[str, Path]]) -> Event:
    """Read one entry of ``[[then]]``.

    Args:
        content: The entry.
        paths: Finds the files of a setting: takes its name and its value.

    Raises:
        EventError: naming the setting.
    """
    for key in content:
        if key not in _KEYS:
            raise EventError(f"'then.{key}' is not a setting; the settings are {', '.join(sorted(_KEYS))}")
    found = {name: paths(f"then.{name}", _table(name, content.get(name, {}))) for name in _FILES}
    for endpoint, path in found["send"].items():
        _check_rows(endpoint, path)
    for endpoint, path in found["labels"].items():
        _check_labels(endpoint, path)
    return Event(
        **found,
        name=_name(content.get("name", "")),
        release=_version(content["release"]) if "release" in content else None,
        approve=content.get("approve"),
        retry=content.get("retry", {}),
        pass_seconds=_seconds(content["pass"]) if "pass" in content else 0,
    )


_FILES = ("push", "upload", "send", "labels")


def lines_of(path: Path) -> list[str]:
    """The lines of a file that say something."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _table(name: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise EventError(f"'then.{name}' must be a table of names and files or folders, got {value!r}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise EventError(f"'then.name' must be a text, got {value!r}")
    return value


def _version(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value):
        raise EventError(f"'then.release' must be the number of a registered version, got {value!r}")
    return str(value)


def _seconds(value: Any) -> int:
    found = _PASS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise EventError(f'\'then.pass\' must be a number of hours or days such as "1h" or "2d", got {value!r}')
    return int(found["count"]) * _SECONDS[found["unit"]]


def _check_rows(endpoint: str, path: Path) -> None:
    setting = f"then.send.{endpoint}"
    if path.suffix not in CONTENT_TYPES or not path.is_file():
        raise EventError(f"'{setting}' must be a file {' or '.join(CONTENT_TYPES)} of requests, got '{path.name}'")
    if not re.fullmatch(r"[\w.-]+", path.stem) or len(path.stem) > _LONGEST_STEM:
        raise EventError(
            f"'{setting}' must be called with at most {_LONGEST_STEM} letters, digits, '.', '_' and '-', of which its "
            f"inference ids are made, got '{path.name}'"
        )
    if not lines_of(path):
        raise EventError(f"'{setting}' must have a request in each line, '{path.name}' is empty")


def _check_labels(endpoint: str, path: Path) -> None:
    setting = f"then.labels.{endpoint}"
    lines = lines_of(path) if path.is_file() else []
    if not lines:
        raise EventError(f"'{setting}' must be a file with an inference id and a label in each line, got '{path.name}'")
    for number, line in enumerate(lines, start=1):
        identifier, comma, label = line.partition(",")
        if not comma or not identifier.strip() or not label.strip():
            raise EventError(
                f"'{setting}': line {number} of '{path.name}' must be <inference id>,<label>, got '{line}'"
            )
