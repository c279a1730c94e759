"""What an endpoint was asked and answered, as SageMaker's data capture writes it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..runtime.contract import StageFailed
from ..runtime.rows import Encoding
from ..runtime.sample import encoding_of
from .files import Files
from .window import Window, hour_of, moment


class Unreadable(Exception):
    """Why a captured line is no record, in words."""


@dataclass(frozen=True)
class Body:
    """What was sent, in one direction."""

    text: str
    encoding: Encoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A request and its answer."""

    event_id: str
    """What labels call it: the inference id of the client where there is one, else SageMaker's event id."""
    time: datetime | None
    request: Body
    answer: Body


def parse(line: bytes) -> Exchange:
    """Read one captured line.

    Raises:
        Unreadable: if it is not a record, or holds no request or no answer.
    """
    try:
        record: Any = json.loads(line)
        data, about = record["captureData"], record["eventMetadata"]
        return Exchange(
            event_id=str(about.get("inferenceId") or about["eventId"]),
            time=_time(about.get("inferenceTime")),
            request=_body(data, "endpointInput"),
            answer=_body(data, "endpointOutput"),
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the record is not JSON: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise Unreadable("the record is not one of SageMaker's data capture") from None


def versions(files: Files) -> list[str]:
    """The executions that built the models which have captured anything, in alphabetical order."""
    return files.folders("capture/")


def names(files: Files, execution_id: str, endpoint: str, window: Window) -> Iterator[str]:
    """The files in which an endpoint captured, in a window, what one model version answered.

    Args:
        files: The repo's bucket.
        execution_id: The run that built the version.
        endpoint: The endpoint; what others have captured in the same bucket is left alone.
        window: Which hours. A window that begins within one gets the whole hour, and each record tells its time.
    """
    hours = set(window.hours)
    for variant in files.folders(f"capture/{execution_id}/{endpoint}/"):
        for day in window.days:
            for name in files.names(f"capture/{execution_id}/{endpoint}/{variant}/{day}/"):
                if hour_of(name) in hours:
                    yield name


def _body(data: Mapping[str, Any], part: str) -> Body:
    if part not in data:
        missing = "request" if part == "endpointInput" else "answer"
        raise Unreadable(f"the record holds no {missing}: let the endpoint capture input and output")
    text, encoding = data[part]["data"], data[part]["encoding"]
    if encoding == "BASE64":
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Unreadable("the record holds neither CSV nor JSON but other bytes") from None
        return Body(text, encoding_of(text))
    if not isinstance(text, str) or encoding not in ("CSV", "JSON"):
        raise Unreadable(f"the record holds what is called {encoding!r}: capture CSV or JSON")
    return Body(text, "CSV" if encoding == "CSV" else "JSON")


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return moment(text)
    except StageFailed:
        return None
