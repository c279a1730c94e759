"""Words: numbers, times and lists as the page writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

ROLL_BACK = "AutomatedRollback"
"""What the trigger of an execution begins with that CodePipeline itself started, to put a stage back."""

_HASH = re.compile(r"(?<=[A-Za-z])[0-9A-F]{8}(-[0-9a-f]{12})?\b")

_TRIGGERS = {
    "CreatePipeline": "the creation of the pipeline",
    "StartPipelineExecution": "a person",
}


def duration(seconds: float) -> str:
    """A time span, such as ``5.7 s``, ``41 s`` or ``1 min 46 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def count(number: int, noun: str) -> str:
    """So many things, such as ``1,204 requests``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listing(items: Sequence[str]) -> str:
    """Some things in a row, such as ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def sentence(clauses: Sequence[str]) -> str:
    """Some clauses as one sentence, such as ``A happened, b happened, and c did.``."""
    joined = f"{', '.join(clauses[:-1])}, and {clauses[-1]}" if len(clauses) > 2 else listing(clauses)
    return f"{capital(joined)}."


def capital(text: str) -> str:
    """A text that begins a sentence."""
    return text[:1].upper() + text[1:]


def number(value: float) -> str:
    """A measured value, with four digits."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def metric(name: str) -> str:
    """The name of a metric without the group that it stands in."""
    return (name.partition(".")[2] or name).replace(".", " ").replace("_", " ")


def trigger(text: str) -> str:
    """What started an execution, as it continues "started by"."""
    if text.startswith(ROLL_BACK):
        return f"CodePipeline, to go back to execution {text.rpartition(' ')[2][:8]}"
    return _TRIGGERS.get(text, _HASH.sub("", text))


def moment(text: str) -> datetime:
    """A time of the rehearsal."""
    return datetime.fromisoformat(text)


def hours(window: dict[str, Any]) -> str:
    """The hours of a window, such as ``05:00 to 06:00``."""
    start, end = moment(window["start"]), moment(window["end"])
    return f"{start:%H:%M} to {end:%H:%M}"


def day(window: dict[str, Any]) -> str:
    """The day on which a window starts, such as ``28 Nov``."""
    start = moment(window["start"])
    return f"{start.day} {start:%b}"


def fired(entry: Mapping[str, Any]) -> str:
    """The name of the alarm that an entry of the log says went off; empty if it says something else."""
    found = re.match(r"alarm (\S+) is ALARM\b", entry["text"]) if entry["kind"] == "alarm" else None
    return found[1] if found else ""


def label(name: str) -> str:
    """A resource's name without the hashes that CDK and CloudFormation have put behind it."""
    return _HASH.sub("", name)
