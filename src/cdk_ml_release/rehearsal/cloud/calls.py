"""Calls: an AWS request as it arrives over HTTP, and what IAM would check for it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from botocore.parsers import BaseCBORParser, ResponseParserError

from .call_checks import CallError, Check, Request
from .call_resources import checks_of
from .call_routes import find_route, known_services
from .call_s3 import bucket_of_host

__all__ = ["Call", "CallError", "Check", "read_call"]

_CREDENTIAL = re.compile(r"\bCredential=([^,\s]+)")
# Services whose actions have another prefix than the name they sign with.
_PREFIXES = {"email": "ses", "monitoring": "cloudwatch"}
# The models of the REST services, where they are not called like the name that they sign with.
_REST_MODELS = {
    "sagemaker": ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics"),
}
_FORM = "application/x-www-form-urlencoded"
_RPC_PATH = re.compile(r"/service/[^/]+/operation/(?P<operation>\w+)/?")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request to AWS, read.

    Attributes:
        service: The prefix of the service's IAM actions, such as ``"s3"`` or ``"cloudwatch"``.
        operation: As botocore spells it, such as ``"CreateTrainingJob"``.
        parameters: By the names that botocore gives them. A body that is a payload of its own (an object,
            the input of an endpoint) or XML is not among them. All values of a query are text.
        checks: What IAM checks, each of which must be allowed; none if the call needs no permission.
        principal: Who calls, once that is known: a role's ARN, or the account's root.
        session: The name of the role's session, where that tells something.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    checks: tuple[Check, ...]
    principal: str = ""
    session: str = ""


def read_call(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, *, account: str, region: str
) -> Call:
    """Read a signed request.

    Condition keys about the caller, such as ``aws:PrincipalArn``, or the clock are left to who knows them.

    Args:
        method: ``"GET"``, ``"POST"`` and so on.
        path: As it was sent, still percent-encoded.
        query: What follows the ``?``, still encoded.
        headers: With names in any case.
        body: All of it. Of S3 only that of DeleteObjects is looked at.
        account: Whose resources the request is about.
        region: For requests that were not signed for one.

    Raises:
        CallError: if the request is not signed, its operation is not known, or its body cannot be decoded.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    arguments = dict(parse_qsl(query, keep_blank_values=True))
    signed_for, place = _scope(lowered, arguments)
    if signed_for == "s3":
        bucket = bucket_of_host(lowered.get("host", ""))
        path = f"/{bucket}{path}" if bucket else path
    request = replace(
        _read(signed_for, method, path, arguments, lowered, body),
        account=account,
        region=place or region,
    )
    return Call(
        service=request.service,
        operation=request.operation,
        parameters=request.parameters,
        checks=checks_of(request),
    )


def _scope(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[str, str]:
    authorization = headers.get("authorization", "")
    found = _CREDENTIAL.search(authorization)
    credential = found[1] if found else query.get("X-Amz-Credential", "")
    # <key>/<date>/<region>/<service>/aws4_request; signatures for several Regions leave the Region out.
    parts = credential.split("/")[1:]
    if len(parts) in (3, 4) and parts[-1] == "aws4_request":
        return parts[-2], parts[1] if len(parts) == 4 else ""
    if authorization.startswith("AWS ") or {"AWSAccessKeyId", "Signature"} <= query.keys():
        # Only S3 still takes signatures of version 2.
        return "s3", ""
    raise CallError(
        "the request has no credential scope in 'Authorization' or 'X-Amz-Credential', so its service is not "
        "known; sign it with version 4"
    )


def _read(
    signed_for: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> Request:
    if headers.get("content-encoding", "").lower() == "gzip" and signed_for != "s3":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError) as error:
            raise CallError(f"the body says gzip, and is not: {error}") from error
    kind = headers.get("content-type", "").lower()
    target = headers.get("x-amz-target", "")
    rpc = _RPC_PATH.fullmatch(path)
    if target:
        operation, parameters = target.rpartition(".")[2], _document(kind, body)
    elif rpc and (headers.get("smithy-protocol") or "cbor" in kind):
        operation, parameters = rpc["operation"], _document(kind, body)
    elif signed_for != "s3" and ("Action" in query or (_FORM in kind and b"Action=" in body)):
        parameters = _form({**query, **dict(parse_qsl(_decoded(body), keep_blank_values=True))})
        operation = str(parameters.pop("Action", ""))
    else:
        operation, parameters = _rest(signed_for, method, path, query, headers, body)
    if not operation:
        raise CallError(f"the request to '{signed_for}' does not say its operation")
    return Request(
        service=_PREFIXES.get(signed_for, signed_for),
        operation=operation,
        parameters=parameters,
        account="",
        region="",
        headers=headers,
        body=body,
    )


def _rest(
    signed_for: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> tuple[str, Mapping[str, Any]]:
    models = _REST_MODELS.get(signed_for, (signed_for,))
    if not known_services().intersection(models):
        raise CallError(f"service '{signed_for}' is not known, so {method} {path} cannot be read")
    taken = find_route(models, method, path, query, headers)
    if taken is None:
        raise CallError(f"no operation of service '{signed_for}' is called with {method} {path}")
    route, parameters = taken
    if signed_for == "s3" or route.payload or not body:
        return route.operation, parameters
    return route.operation, {**_document(headers.get("content-type", "").lower(), body), **parameters}


def _document(kind: str, body: bytes) -> Mapping[str, Any]:
    try:
        if "cbor" in kind:
            parser = BaseCBORParser()
            found = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body)) if body else {}
        else:
            found = json.loads(body) if body else {}
    except (ValueError, ResponseParserError) as error:
        raise CallError(f"the body ({kind or 'of no type'}) cannot be decoded: {error}") from error
    if not isinstance(found, Mapping):
        raise CallError(f"the body must be a map of parameters, got {type(found).__name__}")
    return found


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallError(f"the form cannot be decoded: {error}") from error


def _form(pairs: Mapping[str, str]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in pairs.items():
        *folders, last = name.split(".")
        node = root
        for folder in folders:
            inner = node.get(folder)
            node[folder] = inner if isinstance(inner, dict) else {}
            node = node[folder]
        node[last] = value
    return {name: _tidy(node) for name, node in root.items()}


def _tidy(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node.keys() == {"member"}:
        return _tidy(node["member"])
    if all(name.isdecimal() for name in node):
        return [_tidy(node[name]) for name in sorted(node, key=int)]
    return {name: _tidy(inner) for name, inner in node.items()}
