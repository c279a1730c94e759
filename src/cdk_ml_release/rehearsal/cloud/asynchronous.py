"""Asynchronous inference: a queue before an endpoint's fleet, with requests and answers in S3."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from . import storage
from .calls import Call
from .endpoint import Endpoint
from .fleet import FleetFailed
from .gateway import ApiError, Service
from .hosted import Asked
from .hours import now
from .sagemaker_models import SageMakerModels
from .workplace import Workplace

_LOOK_SECONDS = 0.05
# Source: InvokeEndpointAsync's reference.
_TTL_SECONDS, _ANSWER_SECONDS = 21_600.0, 900.0
# "If no value is provided, SageMaker chooses an optimal value": which one is a guess.
_CONCURRENT = 4
_LONGEST_INCLUDED = 128 * 1024


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A request that waits for its turn."""

    given: Mapping[str, Any]
    """As InvokeEndpointAsync has it."""
    inference_id: str
    output: str
    failure: str
    """Empty if the configuration has no place for failures."""
    received: str = field(default_factory=lambda: _time())
    at: float = field(default_factory=time.monotonic)


class _Failed(Exception):
    """Why a request has no result, and what the container answered."""

    def __init__(self, reason: str, body: bytes = b"") -> None:
        super().__init__(reason)
        self.body = body or reason.encode()


class Asynchronous:
    """The queues of the rehearsed account's asynchronous endpoints."""

    def __init__(self, place: Workplace, models: SageMakerModels, find: Callable[[str], Endpoint]) -> None:
        """Start with none; ``find`` gives an endpoint by its name."""
        self._place = place
        self._models = models
        self._find = find
        self._waiting: dict[str, tuple[Endpoint, deque[Queued]]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        return {("sagemaker", "InvokeEndpointAsync"): self._invoke}

    def settings(self, config_name: str) -> Mapping[str, Any] | None:
        """The ``AsyncInferenceConfig`` of an endpoint configuration, None if it answers at once."""
        settings: Mapping[str, Any] | None = self._models.config(config_name).get("AsyncInferenceConfig")
        return settings

    def refuse_at_once(self, endpoint: Endpoint) -> None:
        """Refuse a request that wants its answer at once, if the endpoint is asynchronous.

        Raises:
            ApiError: then.
        """
        if self.settings(endpoint.config) is not None:
            raise ApiError(
                "ValidationError", f"Endpoint {endpoint.name} is asynchronous: use InvokeEndpointAsync (InputLocation)"
            )

    def check_role(self, config_name: str) -> None:
        """Refuse a configuration whose topics the model's role may not publish to, as SageMaker does.

        Raises:
            FleetFailed: naming the topic (source: amazon-sagemaker-examples issue 4461).
        """
        settings, role = self.settings(config_name), self._role(config_name)
        topics = (settings or {}).get("OutputConfig", {}).get("NotificationConfig", {})
        for topic in (topics[kind] for kind in ("SuccessTopic", "ErrorTopic") if kind in topics):
            try:
                self._place.gateway.authorize(role, "sns:Publish", topic, {})
            except ApiError as denial:
                raise FleetFailed(
                    f"The provided role '{role}' is invalid: it needs sns:Publish for topic '{topic}': {denial}"
                ) from None

    def close(self) -> None:
        """Answer no more requests."""
        self._closed.set()

    def _role(self, config_name: str) -> str:
        variant = self._models.config(config_name)["ProductionVariants"][0]
        role: str = self._models.model(variant["ModelName"])["ExecutionRoleArn"]
        return role

    def _invoke(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        endpoint = self._find(given["EndpointName"])
        settings = self.settings(endpoint.config)
        if settings is None:
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} has no AsyncInferenceConfig")
        if endpoint.serving is None:
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} is {endpoint.status} and cannot be invoked")
        if not given["InputLocation"].startswith("s3://"):
            raise ApiError("ValidationError", f"InputLocation must be an S3 URI, got {given['InputLocation']}")
        inference_id = given.get("InferenceId") or str(uuid.uuid4())
        output = settings["OutputConfig"]
        folder = output["S3OutputPath"].rstrip("/")
        if "S3OutputPathExtension" in given:
            folder = f"{folder}/{given['S3OutputPathExtension'].strip('/')}"
        failures = output.get("S3FailurePath", "").rstrip("/")
        queued = Queued(
            given=given,
            inference_id=inference_id,
            # That the names are those is from experience.
            output=f"{folder}/{given.get('Filename', f'{inference_id}.out')}",
            failure=f"{failures}/{inference_id}-error.out" if failures else "",
        )
        self._queue(endpoint).append(queued)
        places = {"OutputLocation": queued.output, "FailureLocation": queued.failure}
        return {
            "_status": 202,
            "_type": "application/json",
            "_body": json.dumps({"InferenceId": inference_id}).encode(),
            "_headers": {f"X-Amzn-SageMaker-{name}": uri for name, uri in places.items() if uri},
        }

    def _queue(self, endpoint: Endpoint) -> deque[Queued]:
        with self._lock:
            known, waiting = self._waiting.get(endpoint.name, (None, deque()))
            # An endpoint that was deleted has taken its queue with it, whatever is called so now.
            if known is not endpoint:
                waiting = deque()
                self._waiting[endpoint.name] = endpoint, waiting
                name = f"queue of {endpoint.name}"
                threading.Thread(target=self._work, args=(endpoint, waiting), daemon=True, name=name).start()
            return waiting

    def _exists(self, endpoint: Endpoint) -> bool:
        try:
            return self._find(endpoint.name) is endpoint
        except ApiError:
            return False

    def _work(self, endpoint: Endpoint, waiting: deque[Queued]) -> None:
        """Hand out the requests of one endpoint: so many at a time as its instances may have."""
        under_way = threading.Semaphore(0)
        busy = 0
        while not self._closed.is_set() and self._exists(endpoint):
            while under_way.acquire(blocking=False):
                busy -= 1
            hosted = endpoint.serving
            # Without instances the requests wait until there are some.
            if hosted is None or not waiting or busy >= hosted.fleet.size * self._concurrent(hosted.config):
                time.sleep(_LOOK_SECONDS)
                continue
            busy += 1

            def answer(queued: Queued) -> None:
                try:
                    self._answer(endpoint, queued)
                finally:
                    under_way.release()

            threading.Thread(target=answer, args=(waiting.popleft(),), daemon=True).start()

    def _concurrent(self, config_name: str) -> int:
        client = (self.settings(config_name) or {}).get("ClientConfig", {})
        return int(client.get("MaxConcurrentInvocationsPerInstance", _CONCURRENT))

    def _answer(self, endpoint: Endpoint, queued: Queued) -> None:
        role = self._role(endpoint.config)
        s3 = self._place.gateway.client("s3", role)
        try:
            content_type, body = self._ask(endpoint, queued, s3)
            _put(s3, queued.output, body, content_type)
        except (_Failed, ClientError) as failure:
            reason, said = str(failure), failure.body if isinstance(failure, _Failed) else str(failure).encode()
            with contextlib.suppress(ClientError):
                if queued.failure:
                    _put(s3, queued.failure, said, "text/plain")
            self._notify(endpoint, queued, "ErrorTopic", {"invocationStatus": "Failed", "failureReason": reason}, said)
            return
        told = {"responseParameters": {"contentType": content_type, "outputLocation": queued.output}}
        self._notify(endpoint, queued, "SuccessTopic", {"invocationStatus": "Completed", **told}, body)

    def _ask(self, endpoint: Endpoint, queued: Queued, s3: Any) -> tuple[str, bytes]:
        given = queued.given
        if time.monotonic() - queued.at > float(given.get("RequestTTLSeconds", _TTL_SECONDS)):
            raise _Failed("the request has expired in the queue")
        bucket, key = storage.split(given["InputLocation"])
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        names = {
            "Content-Type": "ContentType",
            "Accept": "Accept",
            "X-Amzn-SageMaker-Custom-Attributes": "CustomAttributes",
        }
        headers = {header: given[name] for header, name in names.items() if given.get(name)}
        seconds = float(given.get("InvocationTimeoutSeconds", _ANSWER_SECONDS))
        try:
            _, served = endpoint.answer(Asked(body, headers, queued.inference_id, time.monotonic(), seconds))
        except OSError as error:
            raise _Failed(f"the container did not answer: {error}") from None
        if not 200 <= served.status < 300:
            message = served.body.decode(errors="replace").strip()
            reason = f'Received error ({served.status}) from the container with message "{message}"'
            raise _Failed(reason, served.body)
        return served.content_type, served.body

    def _notify(self, endpoint: Endpoint, queued: Queued, kind: str, told: Mapping[str, Any], response: bytes) -> None:
        """Publish what has come of a request; the message's form is that of SageMaker's guide."""
        settings = self.settings(endpoint.config) or {}
        topics = settings.get("OutputConfig", {}).get("NotificationConfig", {})
        if kind not in topics:
            return
        given = queued.given
        included = {"SuccessTopic": "SUCCESS_NOTIFICATION_TOPIC", "ErrorTopic": "ERROR_NOTIFICATION_TOPIC"}[kind]
        message: dict[str, Any] = {
            "awsRegion": self._place.gateway.region,
            "eventTime": _time(),
            "receivedTime": queued.received,
            **told,
            "requestParameters": {
                "contentType": given.get("ContentType", ""),
                "endpointName": endpoint.name,
                "inputLocation": given["InputLocation"],
            },
            "inferenceId": queued.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        if included in topics.get("IncludeInferenceResponseIn", ()) and len(response) <= _LONGEST_INCLUDED:
            # The name of this field is a guess.
            message["inferenceResponse"] = response.decode(errors="replace")
        with contextlib.suppress(ClientError):
            sns = self._place.gateway.client("sns", self._role(endpoint.config))
            sns.publish(TopicArn=topics[kind], Message=json.dumps(message))


def _put(s3: Any, uri: str, body: bytes, content_type: str) -> None:
    bucket, key = storage.split(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type or "application/octet-stream")


def _time() -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
