"""Ask an endpoint evaluated rows: at once, or through the queue of an asynchronous one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from . import aws, storage
from .contract import StageFailed
from .predictions import Row

# The faults of InvokeEndpoint that pass (botocore: sagemaker-runtime); a ModelError is the model's own.
_NOT_YET = aws.BUSY | {"InternalDependencyException", "InternalFailure", "ModelNotReadyException", "ServiceUnavailable"}
_LONGEST_QUOTE = 200

_Answer = TypeVar("_Answer")

Ask = Callable[[Sequence[Row]], list[bytes]]
"""The answers to rows, in their order."""


@dataclass(frozen=True, kw_only=True)
class AtOnce:
    """An endpoint that answers each request."""

    runtime: Any
    endpoint_name: str
    retries: aws.Pace = aws.RETRIES

    def __call__(self, rows: Sequence[Row]) -> list[bytes]:
        """The answers to ``rows``.

        Raises:
            StageFailed: if the endpoint does not answer, or refuses a row.
        """
        return [self._answer(row) for row in rows]

    def _answer(self, row: Row) -> bytes:
        def ask() -> bytes:
            response = self.runtime.invoke_endpoint(
                EndpointName=self.endpoint_name,
                ContentType=row.content_type,
                Accept=row.content_type,
                Body=row.input.encode(),
            )
            answer: bytes = response["Body"].read()
            return answer

        return _refused(self.endpoint_name, row, lambda: aws.retried(ask, _NOT_YET, self.retries))


@dataclass(frozen=True, kw_only=True)
class ThroughQueue:
    """An asynchronous endpoint, whose inputs and answers are objects in S3."""

    runtime: Any
    s3: Any
    endpoint_name: str
    uri: str
    """Where the endpoint's objects are: ``s3://<bucket>/async/<endpoint>``."""
    label: str
    """Tells the inputs of this check from those of others."""
    pace: aws.Pace
    """How often to look for answers; without instances the first request waits until there is one."""
    retries: aws.Pace = aws.RETRIES

    def __call__(self, rows: Sequence[Row]) -> list[bytes]:
        """The answers to ``rows``.

        Raises:
            StageFailed: if an answer does not come in time, or is a failure.
        """
        places = [self._send(number, row) for number, row in enumerate(rows)]
        return [self._receive(row, *place) for row, place in zip(rows, places, strict=True)]

    def _send(self, number: int, row: Row) -> tuple[str, str]:
        """Queue a row; returns where its output or its failure will be."""
        bucket, prefix = storage.split(self.uri)
        key = f"{prefix}/input/verify/{self.label}/{number}"
        self.s3.put_object(Bucket=bucket, Key=key, Body=row.input.encode(), ContentType=row.content_type)

        def ask() -> tuple[str, str]:
            response = self.runtime.invoke_endpoint_async(
                EndpointName=self.endpoint_name,
                ContentType=row.content_type,
                Accept=row.content_type,
                InputLocation=f"s3://{bucket}/{key}",
            )
            return response["OutputLocation"], response["FailureLocation"]

        return _refused(self.endpoint_name, row, lambda: aws.retried(ask, _NOT_YET, self.retries))

    def _receive(self, row: Row, output: str, failure: str) -> bytes:
        for _ in self.pace:
            answer = storage.read(self.s3, *storage.split(output))
            if answer is not None:
                return answer
            refusal = storage.read(self.s3, *storage.split(failure))
            if refusal is not None:
                said = refusal.decode(errors="replace").strip()
                raise StageFailed(_refuses(self.endpoint_name, row, said))
        raise StageFailed(
            f"the endpoint '{self.endpoint_name}' has not answered {quoted(row.input)} after "
            f"{self.pace.limit_seconds / 60:g} minutes: see whether it has an instance, then retry the stage"
        )


def quoted(text: str) -> str:
    """A text in quotes, not longer than a message can bear."""
    return f"'{text}'" if len(text) <= _LONGEST_QUOTE else f"'{text[:_LONGEST_QUOTE]}...'"


def _refused(endpoint_name: str, row: Row, ask: Callable[[], _Answer]) -> _Answer:
    """The answer to a request, or what its refusal means."""
    try:
        return ask()
    except ClientError as error:
        if aws.code(error) in _NOT_YET:
            raise StageFailed(f"the endpoint '{endpoint_name}' does not answer: {aws.message(error)}") from None
        if aws.code(error) in ("ModelError", "ValidationError"):
            raise StageFailed(_refuses(endpoint_name, row, aws.message(error))) from None
        raise


def _refuses(endpoint_name: str, row: Row, why: str) -> str:
    return f"the endpoint '{endpoint_name}' refuses the evaluated row {quoted(row.input)}: {why}"
