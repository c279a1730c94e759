"""The HTTP side of serving: requests in, ages out.

A plain ASGI application: around a model this small, a web framework would be most of the work.
"""

import asyncio
import json
import reprlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from abalone import FEATURES, Refused, Table, read_lines, to_table
from sklearn.pipeline import Pipeline

CSV, JSON, TEXT = "text/csv", "application/json", "text/plain; charset=utf-8"

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, str, str]  # status, content type, body


class Service:
    """Answers GET /ping and POST /invocations with a loaded estimator."""

    def __init__(self, model: Pipeline) -> None:
        """Serve ``model``; it is loaded already, so the service is ready as soon as it listens."""
        self._model = model
        self._waiting: list[tuple[Table, asyncio.Future[list[float]]]] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI defines it."""
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, content_type, text = await self.answer(scope["method"], scope["path"], dict(scope["headers"]), body)
        content = text.encode()
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def answer(self, method: str, path: str, headers: dict[bytes, bytes], body: bytes) -> Answer:
        """What ``method`` on ``path`` gets."""
        if (method, path) == ("GET", "/ping"):
            return 200, TEXT, ""
        if (method, path) != ("POST", "/invocations"):
            return 404, TEXT, "only GET /ping and POST /invocations are served here\n"
        content_type = _media_types(headers.get(b"content-type", b""))[0]
        if content_type not in (CSV, JSON):
            return 415, TEXT, f"content type must be {CSV} or {JSON}, got {content_type!r}\n"
        accept = _choose(_media_types(headers.get(b"accept", b"*/*")), content_type)
        if accept is None:
            return 406, TEXT, f"the answer can be {CSV} or {JSON}\n"
        try:
            table = _read(body, content_type)
        except Refused as refusal:
            return 400, TEXT, f"{refusal}\n"
        ages = await self._predict(table)
        # Both forms write the shortest text that reads back as the same float.
        text = json.dumps({"predictions": ages}) if accept == JSON else "\n".join(map(repr, ages))
        return 200, accept, text

    async def _predict(self, table: Table) -> list[float]:
        """Predict together with the other requests of this turn of the event loop.

        Most of the time of a small predict() is scikit-learn's own, the same for one row as for a thousand.
        Nobody waits longer for it: requests that arrive during one predict() share the next.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._predict_waiting)
        ages: asyncio.Future[list[float]] = loop.create_future()
        self._waiting.append((table, ages))
        return await ages

    def _predict_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            predictions = self._model.predict(np.concatenate([table for table, _ in waiting])).tolist()
        except Exception as error:  # answered with status 500, and logged with its traceback, by the server
            for _, ages in waiting:
                ages.set_exception(error)
            return
        for table, ages in waiting:
            ages.set_result(predictions[: len(table)])
            del predictions[: len(table)]


def _media_types(header: bytes) -> list[str]:
    return [part.partition(";")[0].strip().lower() for part in header.decode("latin-1").split(",")]


def _choose(accepted: Sequence[str], like_the_request: str) -> str | None:
    for media_type in accepted:
        if media_type in (CSV, JSON):
            return media_type
        if media_type in ("", "*/*"):
            return like_the_request
    return None


def _read(body: bytes, content_type: str) -> Table:
    try:
        text = body.decode()
        rows = _json_rows(json.loads(text)) if content_type == JSON else None
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not {content_type}: {error}") from error
    table = read_lines(text, FEATURES)[1] if rows is None else to_table(rows, FEATURES)
    if not len(table):
        raise Refused("the request has no rows")
    return table


def _json_rows(document: Any) -> list[list[Any]]:
    """The rows of ``{"instances": [...]}`` or of a bare list: lists, or objects keyed by column."""
    instances = document.get("instances") if isinstance(document, dict) else document
    if not isinstance(instances, list):
        raise Refused('the body must be a list of rows, or {"instances": [rows]}')
    rows = [_json_row(number, instance) for number, instance in enumerate(instances, start=1)]
    for number, row in enumerate(rows, start=1):
        for column, value in zip(FEATURES[1:], row[1:], strict=False):
            if type(value) not in (int, float):  # a bool is an int to isinstance, and float() reads text
                raise Refused(f"row {number}, column '{column}': must be a number, got {reprlib.repr(value)}")
    return rows


def _json_row(number: int, instance: Any) -> list[Any]:
    if isinstance(instance, list):
        return instance
    if not isinstance(instance, dict):
        raise Refused(f"row {number}: must be a list or an object, got {reprlib.repr(instance)}")
    for column in FEATURES:
        if column not in instance:
            raise Refused(f"row {number}: column '{column}' is missing")
    for column in instance:
        if column not in FEATURES:
            raise Refused(f"row {number}: unknown column '{column}', known are {', '.join(FEATURES)}")
    return [instance[column] for column in FEATURES]
