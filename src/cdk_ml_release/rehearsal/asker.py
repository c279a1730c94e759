"""Asks an endpoint, as a client of the rehearsed AWS that has no time for an SDK."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from .cloud.gateway import Gateway

_ANSWER_SECONDS = 70.0


class Asker:
    """Sends requests to one endpoint; every thread has a connection of its own."""

    def __init__(self, gateway: Gateway, endpoint: str) -> None:
        """Ask an endpoint by its name."""
        self._address = urlsplit(gateway.endpoint).netloc
        scope = f"{gateway.root.access_key}/20260101/{gateway.region}/sagemaker/aws4_request"
        self._authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=rehearsal"
        self._path = f"/endpoints/{endpoint}/invocations"

    def connection(self) -> http.client.HTTPConnection:
        """A connection to ask on."""
        return http.client.HTTPConnection(self._address, timeout=_ANSWER_SECONDS)

    def ask(self, connection: http.client.HTTPConnection, body: str, content_type: str, inference_id: str = "") -> str:
        """Send one request; why it failed, empty if it did not."""
        headers = {"Authorization": self._authorization, "Content-Type": content_type}
        if inference_id:
            headers["X-Amzn-SageMaker-Inference-Id"] = inference_id
        try:
            connection.request("POST", self._path, body.encode(), headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{type(error).__name__}: {error}"
        return "" if response.status == http.HTTPStatus.OK else answer.decode(errors="replace")[:300]
