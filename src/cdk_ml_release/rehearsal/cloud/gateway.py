"""The gateway: the one door to the rehearsed AWS. It asks who calls, whether they may, and who answers."""

from __future__ import annotations

import io
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from . import hours
from .calls import Call, CallError, read_call
from .policy import decide, may_assume

ACCOUNT = "123456789012"
"""The account that moto plays."""

# How often the server looks whether it is to stop; by default whoever closes the door waits for half a second.
_LOOK_SECONDS = 0.05

Service = Callable[[Call], Mapping[str, Any]]

# What moto answers for these is what AWS answers, as far as a release asks. Other services are refused by name.
MOTO_SERVICES = frozenset({"iam", "kms", "logs", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts"})
MOTO_OPERATIONS = frozenset(
    {
        *(("ecr", f"{verb}Repository") for verb in ("Create", "Delete")),
        *(("ecr", name) for name in ("BatchGetImage", "DescribeImages", "DescribeRepositories", "ListImages")),
        *(("ecr", name) for name in ("PutImage", "GetAuthorizationToken", "PutLifecyclePolicy")),
        *(("ecr", f"{verb}RepositoryPolicy") for verb in ("Set", "Get", "Delete")),
        *(("sagemaker", f"{verb}ModelPackageGroup") for verb in ("Create", "Delete", "Describe")),
        *(("sagemaker", f"{verb}ModelPackage") for verb in ("Create", "Describe", "Update")),
        *(("sagemaker", f"ListModelPackage{noun}") for noun in ("s", "Groups")),
    }
)


class ApiError(Exception):
    """What a service answers instead of a result."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Say what went wrong, with the code that the service uses for it."""
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Credentials:
    """An access key of the rehearsal, which stands for one principal."""

    access_key: str
    principal: str
    """A role's ARN, or the account's root for the person who deploys."""
    session: str = ""
    """The name of the role's session, where that tells something."""

    def environment(self, endpoint: str, region: str) -> dict[str, str]:
        """What a process needs in its environment to call the rehearsed AWS as this principal."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_SESSION_TOKEN": "rehearsal",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class _QuietHandler(WSGIRequestHandler):
    # Keep-alive saves a connection for each call; the log would bury the rehearsal's own.
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class Gateway:
    """A WSGI application on a loopback port, in front of the rehearsal's own services and moto's."""

    def __init__(self, region: str) -> None:
        """Open the door on a free port; ``close`` shuts it and forgets everything that moto holds."""
        self.region = region
        self.account = ACCOUNT
        self.services: dict[tuple[str, str], Service] = {}
        self.calls: set[tuple[str, str]] = set()
        self._open = False
        self._credentials: dict[str, Credentials] = {}
        self._policies: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.RLock()
        self._session = _session(region)
        self._clients: dict[tuple[str, str], Any] = {}
        self._moto = _moto()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_QuietHandler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        looks = {"poll_interval": _LOOK_SECONDS}
        threading.Thread(target=self._server.serve_forever, kwargs=looks, daemon=True, name="gateway").start()
        self.root = self.credentials(f"arn:aws:iam::{ACCOUNT}:root")

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        moto_api_backend.reset()
        hours.reset()

    def credentials(self, principal: str, session: str = "") -> Credentials:
        """The access key that stands for a role's ARN, in a session of that name."""
        with self._lock:
            for known in self._credentials.values():
                if (known.principal, known.session) == (principal, session):
                    return known
            made = Credentials(f"ASIA{uuid.uuid4().hex[:16].upper()}", principal, session)
            self._credentials[made.access_key] = made
            return made

    def client(self, service: str, principal: str | None = None, session: str = "") -> Any:
        """A boto3 client of the rehearsed AWS, for a role or (default) the person who deploys."""
        credentials = self.root if principal is None else self.credentials(principal, session)
        with self._lock:
            if (service, credentials.access_key) not in self._clients:
                self._clients[service, credentials.access_key] = self._session.client(
                    service,
                    endpoint_url=self.endpoint,
                    aws_access_key_id=credentials.access_key,
                    aws_secret_access_key="rehearsal",
                    config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
                )
            return self._clients[service, credentials.access_key]

    def assume(self, role_arn: str, service: str, source_arn: str = "") -> str:
        """Let a service take a role on, for a resource of this ARN if the service tells it.

        Returns:
            The role's ARN.

        Raises:
            ApiError: if there is no such role, or its trust policy does not name the service.
        """
        try:
            role = self.client("iam").get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
        except self.client("iam").exceptions.NoSuchEntityException:
            raise ApiError("ValidationException", f"there is no role {role_arn}") from None
        context = {"aws:SourceAccount": self.account} | ({"aws:SourceArn": source_arn} if source_arn else {})
        decision = may_assume(role["AssumeRolePolicyDocument"], principal=service, context=context)
        if not decision.allowed:
            raise ApiError("ValidationException", f"{service} may not assume {role_arn}: {decision.reason}")
        return role_arn

    def authorize(self, principal: str, action: str, resource: str, context: Mapping[str, str]) -> None:
        """Refuse what a principal's policies do not allow.

        Raises:
            ApiError: ``AccessDenied``, naming principal, action, resource and reason.
        """
        if ":role/" not in principal:
            return
        decision = decide(self._policies_of(principal), action=action, resource=resource, context=context)
        if not decision.allowed:
            name = principal.rpartition("/")[2]
            raise ApiError(
                "AccessDenied", f"role {name} is not allowed {action} on {resource}: {decision.reason}", status=403
            )

    def _policies_of(self, role_arn: str) -> list[dict[str, Any]]:
        # Read without the lock: reading asks this very gateway.
        policies = self._policies.get(role_arn)
        if policies is None:
            policies = self._policies[role_arn] = self._read_policies(role_arn.rpartition("/")[2])
        return policies

    def _read_policies(self, role: str) -> list[dict[str, Any]]:
        iam = self.client("iam")
        inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in inline]
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
            version = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=policy["DefaultVersionId"])
            documents.append(version["PolicyVersion"]["Document"])
        return documents

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {
            key.removeprefix("HTTP_").replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        }
        try:
            call = self._unsigned(environ, headers) or self._read(environ, headers, body)
        except CallError as error:
            return _send(start_response, 400, "text/plain", str(error).encode())
        try:
            return self._answer(call, headers, environ, start_response)
        except ApiError as error:
            return _send_error(start_response, call, headers, error)

    def _read(self, environ: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> Call:
        path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
        return read_call(
            environ["REQUEST_METHOD"],
            path.partition("?")[0],
            environ.get("QUERY_STRING", ""),
            headers,
            body,
            account=self.account,
            region=self.region,
        )

    def open_door(self) -> str:
        """Let anyone on this machine invoke the endpoints without a signature, as ``curl`` does.

        Returns:
            The address.
        """
        self._open = True
        return self.endpoint

    def _unsigned(self, environ: Mapping[str, Any], headers: dict[str, str]) -> Call | None:
        parts = environ["PATH_INFO"].strip("/").split("/")
        if not self._open or "authorization" in headers or parts[0] != "endpoints" or parts[2:] != ["invocations"]:
            return None
        headers["authorization"] = f"Credential={self.root.access_key}/"
        parameters = {"EndpointName": parts[1], "ContentType": headers.get("content-type", "")}
        return Call(service="sagemaker", operation="InvokeEndpoint", parameters=parameters, checks=())

    def _answer(
        self, call: Call, headers: Mapping[str, str], environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        key = (call.service, call.operation)
        self.calls.add(key)
        caller = self._caller(headers)
        for check in call.checks:
            self.authorize(caller.principal, check.action, check.resource, check.context)
        call = replace(call, principal=caller.principal, session=caller.session)
        if key in self.services:
            if key == ("sagemaker", "InvokeEndpoint"):
                call = replace(call, parameters={**call.parameters, "Body": environ["wsgi.input"].getvalue()})
            answer = self.services[key](call)
            if "_body" in answer:
                return _send(start_response, answer["_status"], answer["_type"], answer["_body"], answer["_headers"])
            return _send(start_response, 200, "application/x-amz-json-1.1", json.dumps(answer, default=str).encode())
        if call.service not in MOTO_SERVICES and key not in MOTO_OPERATIONS:
            raise ApiError(
                "NotImplemented",
                f"the rehearsal does not know {call.service}:{call.operation}: see docs/fidelity.md for what it knows",
                status=501,
            )
        if call.service == "iam" and not call.operation.startswith(("Get", "List")):
            self._policies.clear()
        return self._moto(environ, start_response)  # type: ignore[no-any-return]

    def _caller(self, headers: Mapping[str, str]) -> Credentials:
        found = re.search(r"Credential=([A-Z0-9]+)/", headers.get("authorization", ""))
        credentials = self._credentials.get(found[1]) if found else None
        if credentials is None:
            raise ApiError("InvalidClientTokenId", "these credentials are not of this rehearsal", status=403)
        return credentials


# What these two have loaded, the next rehearsal of this process finds ready. They remember nothing of an account.


@cache
def _session(region: str) -> boto3.Session:
    return boto3.Session(region_name=region)


@cache
def _moto() -> DomainDispatcherApplication:
    dispatcher = DomainDispatcherApplication(create_backend_app)
    # For every request it would look for all of its services on the disk again.
    dispatcher.get_backend_for_host = cache(dispatcher.get_backend_for_host)  # type: ignore[method-assign]
    return dispatcher


def _send(
    start_response: Any, status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
) -> list[bytes]:
    fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
    start_response(f"{status} {'OK' if status < 300 else 'Error'}", list(fields.items()))
    return [body]


def _send_error(start_response: Any, call: Call, headers: Mapping[str, str], error: ApiError) -> list[bytes]:
    """An error in the form that botocore expects of the service's protocol."""
    message = str(error)
    if call.service == "s3":
        body = f"<Error><Code>{error.code}</Code><Message>{escape(message)}</Message></Error>"
    elif "x-www-form-urlencoded" in headers.get("content-type", ""):
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{error.code}</Code>"
            f"<Message>{escape(message)}</Message></Error></ErrorResponse>"
        )
    else:
        document = json.dumps({"__type": error.code, "message": message, "Message": message})
        fields = {"x-amzn-errortype": error.code}
        return _send(start_response, error.status, "application/x-amz-json-1.1", document.encode(), fields)
    return _send(start_response, error.status, "text/xml", body.encode())
