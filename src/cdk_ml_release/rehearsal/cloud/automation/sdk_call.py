"""Calls that a service makes for its user: an operation of any SDK, with names that begin with a capital letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError, UnknownServiceError
from botocore.model import ServiceModel
from botocore.session import Session

from ..gateway import Gateway

__all__ = ["SdkCall", "SdkError", "read_sdk_call"]

_ARN = re.compile(r"arn:aws[a-z-]*:(?:scheduler|states):::aws-sdk:(?P<service>[a-z0-9]+):(?P<operation>[a-zA-Z0-9]+)")
# The SDK for Java writes SQS as Sqs, and DynamoDB as DynamoDb.
_CAPITALS = re.compile(r"([A-Z])([A-Z]+)(?![a-z])")
# Services whose SDK for Java, after which they are named here, has another name than botocore's.
_OTHER_NAMES = {"cloudwatchlogs": "logs", "eventbridge": "events", "sfn": "stepfunctions", "sagemakerruntime": ""}


class SdkError(Exception):
    """Why a call failed.

    Attributes:
        name: As Step Functions names it, such as ``CodePipeline.PipelineNotFoundException``.
    """

    def __init__(self, name: str, reason: str) -> None:
        """Say what the service said."""
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, kw_only=True)
class SdkCall:
    """An operation that can be called."""

    service: str
    """As botocore names it."""
    operation: str
    """As botocore spells it, such as ``CreateProcessingJob``."""

    def perform(self, gateway: Gateway, arguments: Any, *, principal: str, session: str = "") -> dict[str, Any]:
        """Call it through the gateway.

        Args:
            gateway: The rehearsed AWS.
            arguments: By names that begin with a capital letter, at every depth.
            principal: The role that calls.
            session: The name of its session.

        Returns:
            The result, named likewise; times are texts as ISO 8601 has them.

        Raises:
            SdkError: if the service refuses it, or an argument is not known.
        """
        model = _model(self.service)
        operation = model.operation_model(self.operation)
        prefix = _CAPITALS.sub(lambda found: found[1] + found[2].lower(), model.service_id.replace(" ", ""))
        given = _lowered(arguments or {}, operation.input_shape, self.operation)
        client = gateway.client(self.service, principal, session)
        try:
            result = getattr(client, xform_name(self.operation))(**given)
        except ParamValidationError as error:
            raise SdkError("States.Runtime", " ".join(str(error).split())) from None
        except ClientError as error:
            raise SdkError(f"{prefix}.{_exception(error, model, prefix)}", str(error)) from None
        shown: dict[str, Any] = _raised(result, operation.output_shape) if operation.output_shape else {}
        return shown


def read_sdk_call(arn: str) -> SdkCall:
    """Read the operation of a universal target or a state's resource.

    Raises:
        SdkError: naming what is not known.
    """
    found = _ARN.fullmatch(arn)
    if found is None:
        raise SdkError(
            "States.Runtime", f"the rehearsal calls arn:<partition>:...:::aws-sdk:<service>:<operation> only, not {arn}"
        )
    service = _OTHER_NAMES.get(found["service"], found["service"])
    operation = found["operation"][:1].upper() + found["operation"][1:]
    try:
        known = _model(service).operation_names if service else []
    except UnknownServiceError:
        known = []
    if operation not in known:
        raise SdkError("States.Runtime", f"the rehearsal knows no operation {found['service']}:{found['operation']}")
    return SdkCall(service=service, operation=operation)


@cache
def _model(service: str) -> ServiceModel:
    return Session().get_service_model(service)


def _exception(error: ClientError, model: ServiceModel, prefix: str) -> str:
    """The class that the SDK for Java has for an error: every name ends with Exception there."""
    code = error.response["Error"]["Code"]
    known = {shape.error_code: shape.name for shape in model.error_shapes}
    if code not in known and code not in known.values():
        return f"{prefix}Exception"
    name: str = known.get(code, code)
    return name if name.endswith("Exception") else f"{name.removesuffix('Error')}Exception"


def _lowered(value: Any, shape: Any, place: str) -> Any:
    """Arguments by the names that botocore gives them."""
    if shape is None or shape.type_name in ("string", "timestamp", "boolean", "blob", "double", "float"):
        return value
    if shape.type_name in ("integer", "long"):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if shape.type_name == "list" and isinstance(value, list):
        return [_lowered(each, shape.member, place) for each in value]
    if shape.type_name == "map" and isinstance(value, Mapping):
        return {key: _lowered(each, shape.value, place) for key, each in value.items()}
    if shape.type_name == "structure" and isinstance(value, Mapping):
        names = {_capital(name): name for name in shape.members}
        unknown = [key for key in value if key not in names]
        if unknown:
            raise SdkError("States.Runtime", f"the argument '{unknown[0]}' of {place} is not one of {', '.join(names)}")
        return {names[key]: _lowered(each, shape.members[names[key]], place) for key, each in value.items()}
    return value


def _raised(value: Any, shape: Any) -> Any:
    """A result by names that begin with a capital letter."""
    if isinstance(value, datetime):
        return _instant(value)
    if shape.type_name == "list":
        return [_raised(each, shape.member) for each in value]
    if shape.type_name == "map":
        return {key: _raised(each, shape.value) for key, each in value.items()}
    if shape.type_name == "structure":
        return {_capital(name): _raised(value[name], inner) for name, inner in shape.members.items() if name in value}
    return value


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _instant(when: datetime) -> str:
    """A time as Java's Instant prints it: with milliseconds, if there are any."""
    there = when.astimezone(UTC)
    return there.isoformat(timespec="milliseconds" if there.microsecond >= 1000 else "seconds").replace("+00:00", "Z")
