"""The log of an endpoint in CloudWatch Logs: what its containers write, a moment later."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .job_log import JobLog

_DELAY_SECONDS = 0.2


class EndpointLog:
    """Hands over what the instances of a fleet write, all at once and not line by line."""

    def __init__(self, client: Any, endpoint: str, variant: str) -> None:
        """Start with nothing written; ``client`` is one of CloudWatch Logs, as the model's role."""
        self._log = JobLog(client, f"/aws/sagemaker/Endpoints/{endpoint}", variant)
        self._waiting = threading.Event()

    def writer(self, instance: str) -> Callable[[str], None]:
        """What takes the lines of one instance, for the stream ``<variant>/<instance>``."""
        collect = self._log.writer(instance)

        def write(line: str) -> None:
            collect(line)
            if not self._waiting.is_set():
                self._waiting.set()
                timer = threading.Timer(_DELAY_SECONDS, self._hand_over)
                timer.daemon = True
                timer.start()

        return write

    def _hand_over(self) -> None:
        self._waiting.clear()
        # As with SageMaker, a role that may not write a log has none. And the rehearsal may be over.
        with contextlib.suppress(BotoCoreError, ClientError):
            self._log.flush()
