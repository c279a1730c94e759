"""``rehearsal.toml``: what a rehearsal must know that the cloud assembly does not say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .cloud.clock import Clock
from .event import Answer, Event, EventError, Retry, read_event

FILE_NAME = "rehearsal.toml"
_ANSWERS = ("yes", "no", "ask")


class SettingsError(Exception):
    """What is wrong with the settings, in one line."""


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """A request that is sent once the pipeline has succeeded."""

    endpoint: str
    body: str
    content_type: str = "text/csv"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a rehearsal; a file that is not there gives these defaults.

    Attributes:
        region: The region that is played.
        sources: Source name (repository, connection's repository or archive key) to the folder that plays it.
        approve: How approvals are answered.
        retry: Stage name to how a person retries it in the first execution.
        requests: What is asked of the endpoints in the end.
        then: What happens after the first execution.
        traffic: How many requests a second every endpoint is sent all the while; 0 for none.
        startup_seconds: How long a serving container has to get healthy; SageMaker gives it 240.
        clock: How long a declared wait takes, and how many requests must be seen in it.
    """

    region: str = "us-east-1"
    sources: Mapping[str, Path] = field(default_factory=dict)
    approve: Answer = "yes"
    retry: Mapping[str, Retry] = field(default_factory=dict)
    requests: tuple[SampleRequest, ...] = ()
    then: tuple[Event, ...] = ()
    traffic: float = 0.0
    startup_seconds: float = 240.0
    clock: Clock = field(default_factory=Clock)


def read_settings(folder: Path) -> Settings:
    """Read ``rehearsal.toml`` from a folder; paths in it are relative to the folder.

    Raises:
        SettingsError: naming the setting.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return Settings()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _settings(content, folder)
    except (tomllib.TOMLDecodeError, SettingsError, TypeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _settings(content: dict[str, Any], folder: Path) -> Settings:
    content = dict(content)
    given: dict[str, Any] = {}
    if "sources" in content:
        given["sources"] = _paths("sources", content.pop("sources"), folder)
    given["requests"] = tuple(SampleRequest(**each) for each in content.pop("requests", ()))
    given["then"] = tuple(_event(each, folder) for each in content.pop("then", ()))
    if "clock" in content:
        given["clock"] = _clock(content.pop("clock"))
    _check_keys("", content, {"region", "approve", "retry", "startup_seconds", "traffic"})
    _check_answer(content.get("approve", "yes"))
    _check_number("traffic", content.get("traffic", 0))
    return Settings(**given, **content)


def _clock(content: dict[str, Any]) -> Clock:
    names = {each.name for each in fields(Clock)}
    _check_keys("clock.", content, names)
    for key, value in content.items():
        _check_number(f"clock.{key}", value)
    return Clock(**content)


def _event(content: dict[str, Any], folder: Path) -> Event:
    try:
        event = read_event(content, lambda name, files: _paths(name, files, folder))
    except EventError as error:
        raise SettingsError(str(error)) from None
    _check_answer(content.get("approve", "yes"))
    return event


def _paths(name: str, content: Mapping[str, str], folder: Path) -> dict[str, Path]:
    paths = {key: (folder / value).resolve() for key, value in content.items()}
    for key, path in paths.items():
        if not path.exists():
            raise SettingsError(f"'{name}.{key}' must be a file or folder that exists, got '{content[key]}'")
    return paths


def _check_keys(prefix: str, content: Mapping[str, Any], known: set[str]) -> None:
    for key in content:
        if key not in known:
            raise SettingsError(f"'{prefix}{key}' is not a setting; the settings are {', '.join(sorted(known))}")


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise SettingsError(f"'{name}' must be a number, 0 or more, got {value!r}")


def _check_answer(value: Any) -> None:
    if value not in _ANSWERS:
        raise SettingsError(f"'approve' must be one of {', '.join(_ANSWERS)}, got {value!r}")
