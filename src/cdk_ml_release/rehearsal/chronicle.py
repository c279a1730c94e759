"""The chronicle of a rehearsal: what happened when, for a timeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .cloud.hours import now, stamp

__all__ = ["Chronicle"]


class Chronicle:
    """Takes down what happens, and passes most of it on to who follows."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Begin; ``note`` is shown what is told."""
        self.entries: list[dict[str, Any]] = []
        """``time`` of the rehearsal, real ``seconds`` since it began, ``kind`` and ``text`` of each."""
        self._note = note
        self.began = time.monotonic()
        """On the machine's monotonic clock."""
        self._lock = threading.Lock()

    def take_down(self, kind: str, text: str) -> None:
        """Keep something that was shown already."""
        with self._lock:
            seconds = round(time.monotonic() - self.began, 2)
            self.entries.append({"time": stamp(now()), "seconds": seconds, "kind": kind, "text": text})

    def tell(self, kind: str, text: str) -> None:
        """Keep something and show it."""
        self.take_down(kind, text)
        self._note(text)
