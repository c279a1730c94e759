"""SageMaker's endpoints: created, updated as declared, asked and deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .alarms import Alarms
from .asynchronous import Asynchronous
from .calls import Call
from .deployment import Deployment, check_change, read_deployment
from .endpoint import IN_PROGRESS, Endpoint
from .fleet import FleetFailed
from .gateway import ApiError, Service
from .hosted import Asked, Hosted
from .hosting_fleets import Hosting, instance_count
from .metrics import Metrics
from .releases import Release, short
from .sagemaker_models import SageMakerModels
from .scaling import Scaling
from .update import Update
from .workplace import Workplace

_LONGEST_BODY = 6_291_456


class SageMakerEndpoints:
    """The endpoints of the rehearsed account, with the metrics, alarms and scaling that they come with."""

    def __init__(self, place: Workplace, released: Callable[[Release], None] = lambda release: None) -> None:
        """Start with none; ``released`` is told every creation and update when its outcome is known."""
        self._place = place
        self._released = released
        self._endpoints: dict[str, Endpoint] = {}
        self.models = SageMakerModels(place)
        self.metrics = Metrics()
        self._hosting = Hosting(place, self.models, self.metrics)
        self.alarms = Alarms(self.metrics, place.gateway.region)
        self.queues = Asynchronous(place, self.models, self._find)
        self.scaling = Scaling(self._has_variant, place.gateway.region)
        self.releases: list[Release] = []

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "CreateEndpoint": self._create_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self._scale_endpoint,
            "DescribeEndpoint": lambda call: self._find(call.parameters["EndpointName"]).describe(),
            "DeleteEndpoint": self._delete_endpoint,
            "InvokeEndpoint": self._invoke,
        }
        own = {("sagemaker", operation): service for operation, service in answers.items()}
        watching = self.metrics.services() | self.alarms.services()
        return own | self.queues.services() | self.models.services() | watching | self.scaling.services()

    @property
    def all(self) -> list[Endpoint]:
        """Every endpoint that exists."""
        return list(self._endpoints.values())

    def model_package_arn(self, endpoint: Endpoint) -> str | None:
        """The registered version that an endpoint serves, if its model came from the registry."""
        return endpoint.serving.version if endpoint.serving else None

    def serves(self, name: str) -> bool:
        """Whether an endpoint of this name answers requests at once."""
        found = self._endpoints.get(name.lower())
        return found is not None and found.serving is not None and not found.serving.asynchronous

    def flush(self) -> None:
        """Write what was captured."""
        for endpoint in self.all:
            for hosted in (endpoint.serving, endpoint.arriving):
                if hosted:
                    hosted.flush()

    def close(self) -> None:
        """Write what was captured and stop every fleet."""
        self.queues.close()
        self.flush()
        for endpoint in self.all:
            for hosted in (endpoint.serving, endpoint.arriving):
                if hosted:
                    hosted.stop()

    def _create_endpoint(self, call: Call) -> Mapping[str, Any]:
        name, config = call.parameters["EndpointName"], call.parameters["EndpointConfigName"]
        if name.lower() in self._endpoints:
            raise ApiError("ValidationException", f"Cannot create already existing endpoint '{name}'")
        variant = self._variant(config)
        endpoint = Endpoint(name=name, arn=self.models.arn("endpoint", name), config=config, status="Creating")
        first = Deployment(counts=(instance_count(variant),), words="first creation")
        self._begin(endpoint, config, first, variant, None)
        self._endpoints[name.lower()] = endpoint
        return {"EndpointArn": endpoint.arn}

    def _update_endpoint(self, call: Call) -> Mapping[str, Any]:
        parameters = call.parameters
        endpoint, config = self._find(parameters["EndpointName"]), parameters["EndpointConfigName"]
        variant, old = self._variant(config), endpoint.serving
        if endpoint.status in IN_PROGRESS:
            raise ApiError("ValidationException", f"Cannot update in-progress endpoint '{endpoint.name}'")
        declared = parameters.get("DeploymentConfig", {})
        if parameters.get("RetainDeploymentConfig") and endpoint.deployment:
            declared = endpoint.deployment
        excluded = {each["VariantPropertyType"] for each in parameters.get("ExcludeRetainedVariantProperties", ())}
        retains = bool(parameters.get("RetainAllVariantProperties")) and old is not None
        if old is not None:
            scaled = self.scaling.registered(endpoint.name, old.variant_name)
            check_change(old.variant, variant, declared, scaled=scaled)
            if retains and "DesiredInstanceCount" not in excluded:
                variant = {**variant, "InitialInstanceCount": old.fleet.size}
        deployment = read_deployment(declared, instance_count(variant))
        missing = self.alarms.missing(deployment.alarms)
        if missing:
            raise ApiError("ValidationException", f"Could not find CloudWatch alarm(s): {', '.join(missing)}")
        capture = old.capture_config if old and retains and "DataCaptureConfig" not in excluded else None
        self._begin(endpoint, config, deployment, variant, capture)
        endpoint.deployment = declared
        return {"EndpointArn": endpoint.arn}

    def _begin(
        self,
        endpoint: Endpoint,
        config: str,
        deployment: Deployment,
        variant: Mapping[str, Any],
        capture: Mapping[str, Any] | None,
    ) -> None:
        """Start a creation or an update in a thread of its own."""
        before = endpoint.serving.version if endpoint.serving else None
        version = self.models.version(variant["ModelName"])
        policy = ", ".join([deployment.words, *self._shadow_words(config)])
        release = Release(endpoint=endpoint.name, version=version, before=before, policy=policy)
        if endpoint.status != "Creating":
            endpoint.status = "Updating"
        endpoint.releases.append(release)
        self.releases.append(release)

        def host(count: int) -> Hosted:
            self.queues.check_role(config)
            return self._hosting.bring_up(endpoint.name, config, count, capture)

        update = Update(
            endpoint,
            deployment,
            host=host,
            alarms=self.alarms,
            clock=self._place.clock,
            done=lambda: self._released(release),
        )
        threading.Thread(target=update.run, daemon=True, name=f"update of {endpoint.name}").start()

    def _shadow_words(self, config: str) -> list[str]:
        shadows = self.models.config(config).get("ShadowProductionVariants", ())
        return [f"with {short(self.models.version(each['ModelName']))} in its shadow" for each in shadows]

    def _variant(self, config: str) -> Mapping[str, Any]:
        variant: Mapping[str, Any] = self.models.config(config)["ProductionVariants"][0]
        return variant

    def _has_variant(self, endpoint: str, variant: str) -> bool:
        found = self._endpoints.get(endpoint.lower())
        return bool(found and found.serving and found.serving.variant_name == variant)

    def _find(self, name: str) -> Endpoint:
        if name.lower() not in self._endpoints:
            raise ApiError("ValidationException", f"Could not find endpoint '{name}'")
        return self._endpoints[name.lower()]

    def _scale_endpoint(self, call: Call) -> Mapping[str, Any]:
        endpoint = self._find(call.parameters["EndpointName"])
        if endpoint.status != "InService" or endpoint.serving is None:
            raise ApiError("ValidationException", f"Cannot update in-progress endpoint '{endpoint.name}'")
        hosted, counts = endpoint.serving, []
        for each in call.parameters["DesiredWeightsAndCapacities"]:
            if each["VariantName"] != hosted.variant_name or "ServerlessConfig" in hosted.variant:
                raise ApiError("ValidationException", f"'{each['VariantName']}' is no variant on instances")
            counts += [int(each["DesiredInstanceCount"])] if "DesiredInstanceCount" in each else []
        endpoint.status = "Updating"

        def scale() -> None:
            try:
                for count in counts:
                    hosted.fleet.scale(count)
            except FleetFailed as failure:
                endpoint.failure_reason = str(failure)
            finally:
                endpoint.status = "InService"

        threading.Thread(target=scale, daemon=True).start()
        return {"EndpointArn": endpoint.arn}

    def _delete_endpoint(self, call: Call) -> Mapping[str, Any]:
        endpoint = self._find(call.parameters["EndpointName"])
        del self._endpoints[endpoint.name.lower()]
        for hosted in (endpoint.serving, endpoint.arriving):
            if hosted:
                hosted.flush()
                hosted.stop()
        return {}

    def _invoke(self, call: Call) -> Mapping[str, Any]:
        at = time.monotonic()
        endpoint = self._find(call.parameters["EndpointName"])
        body: bytes = call.parameters["Body"]
        if endpoint.serving is None and not endpoint.share:
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} is {endpoint.status} and cannot be invoked")
        self.queues.refuse_at_once(endpoint)
        if len(body) > _LONGEST_BODY:
            raise ApiError("ValidationError", f"the body has {len(body)} bytes, {_LONGEST_BODY} are allowed", 400)
        given = {"Content-Type": call.parameters.get("ContentType"), "Accept": call.parameters.get("Accept")}
        headers = {key: value for key, value in given.items() if value}
        try:
            hosted, served = endpoint.answer(Asked(body, headers, call.parameters.get("InferenceId"), at))
        except OSError as error:
            raise ApiError("ModelError", f"the container did not answer: {error}", 424) from None
        if not 200 <= served.status < 300:
            message = served.body.decode(errors="replace").strip()
            raise ApiError(
                "ModelError", f'Received error ({served.status}) from the container with message "{message}"', 424
            )
        return {
            "_status": 200,
            "_type": served.content_type,
            "_body": served.body,
            "_headers": {"x-Amzn-Invoked-Production-Variant": hosted.variant_name},
        }
