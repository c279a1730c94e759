"""CodePipeline's and CodeBuild's API, as far as is asked: look at pipelines and their executions, and start them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..cloud.account import Account
from ..cloud.automation.event_bus import Happened
from ..cloud.calls import Call
from ..cloud.gateway import ApiError, Service
from ..cloud.hours import timestamp
from .execution import Execution
from .walk import StartRefused, Walker

OPERATIONS = frozenset(
    {
        *(("codepipeline", name) for name in ("GetPipeline", "GetPipelineExecution", "ListPipelineExecutions")),
        ("codepipeline", "StartPipelineExecution"),
        ("codebuild", "BatchGetProjects"),
    }
)
_BY_CALL = "StartPipelineExecution"


class PipelineApi:
    """Answers for the pipelines and the projects of the rehearsed account."""

    def __init__(
        self,
        walkers: Mapping[str, Walker],
        account: Account,
        why: Callable[[Call], str] = lambda call: _BY_CALL,
    ) -> None:
        """Answer for what is, or will be, in these; ``why`` says why a call starts a pipeline."""
        self._walkers = walkers
        self._account = account
        self._why = why
        self._by_token: dict[tuple[str, str], str] = {}
        self._running: list[threading.Thread] = []
        self._lock = threading.Lock()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        return {
            ("codepipeline", "GetPipeline"): self._get,
            ("codepipeline", "GetPipelineExecution"): self._get_execution,
            ("codepipeline", "ListPipelineExecutions"): self._list,
            ("codepipeline", "StartPipelineExecution"): self._start,
            ("codebuild", "BatchGetProjects"): self._projects,
        }

    def run(
        self,
        name: str,
        trigger: str,
        variables: Mapping[str, str] | None = None,
        started_by: tuple[str, str] | None = None,
    ) -> Execution:
        """Start an execution that runs beside; arguments and errors as for ``Walker.start``."""
        walker = self._walker(name)
        execution = walker.queue(trigger, variables, started_by)
        thread = threading.Thread(target=walker.walk, args=(execution,), daemon=True, name=execution.id)
        self._running.append(thread)
        thread.start()
        return execution

    def start_for_rule(self, happened: Happened) -> None:
        """Start the pipeline that a rule names."""
        arn, rule = happened.target["Arn"], happened.rule
        cause = ":".join([*arn.split(":")[:2], "events", *arn.split(":")[3:5], f"rule/{rule}"])
        self.run(arn.rpartition(":")[2], f"{happened.cause} (rule {rule})", started_by=("CloudWatchEvent", cause))

    def wait(self) -> bool:
        """Wait for all that runs beside; whether there was anything."""
        waited = False
        while self._running:
            self._running.pop().join()
            waited = True
        return waited

    def _walker(self, name: str) -> Walker:
        if name not in self._walkers:
            raise ApiError("PipelineNotFoundException", f"Account does not have a pipeline with name '{name}'")
        return self._walkers[name]

    def _get(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["name"]
        self._walker(name)
        return {"pipeline": {"name": name, "version": 1, **_lowered(self._account.pipelines[name])}}

    def _get_execution(self, call: Call) -> Mapping[str, Any]:
        walker = self._walker(call.parameters["pipelineName"])
        wanted = call.parameters["pipelineExecutionId"]
        execution = next((each for each in walker.executions if each.id == wanted), None)
        if execution is None:
            raise ApiError("PipelineExecutionNotFoundException", f"there is no execution {wanted}")
        return {"pipelineExecution": _described(execution)}

    def _list(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        if "filter" in given:
            raise ApiError("NotImplemented", "the rehearsal knows no filter of ListPipelineExecutions", 501)
        newest = list(reversed(self._walker(given["pipelineName"]).executions))
        first, most = int(given.get("nextToken", 0)), int(given.get("maxResults", 100))
        more = {"nextToken": str(first + most)} if len(newest) > first + most else {}
        return {"pipelineExecutionSummaries": [_summary(each) for each in newest[first : first + most]], **more}

    def _start(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["name"]
        given = {each["name"]: each["value"] for each in call.parameters.get("variables", ())}
        key = (name, call.parameters.get("clientRequestToken", ""))
        with self._lock:
            if key[1] and key in self._by_token:
                return {"pipelineExecutionId": self._by_token[key]}
            try:
                execution = self.run(name, self._why(call), given, (_BY_CALL, _caller(call)))
            except StartRefused as refusal:
                raise ApiError("ValidationException", str(refusal)) from None
            self._by_token[key] = execution.id
        return {"pipelineExecutionId": execution.id}

    def _projects(self, call: Call) -> Mapping[str, Any]:
        names = call.parameters["names"]
        return {
            "projects": [
                {"name": name, **_lowered(self._account.projects[name])}
                for name in names
                if name in self._account.projects
            ],
            "projectsNotFound": [name for name in names if name not in self._account.projects],
        }


def _caller(call: Call) -> str:
    """Who calls, as CodePipeline notes it: a role's session, or a person."""
    if ":role/" not in call.principal:
        return call.principal
    partition, account, role = call.principal.split(":")[1], call.principal.split(":")[4], call.principal.split("/")[-1]
    return f"arn:{partition}:sts::{account}:assumed-role/{role}/{call.session or 'rehearsal'}"


def _summary(execution: Execution) -> dict[str, Any]:
    kind, detail = execution.started_by
    return {
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "startTime": timestamp(execution.started),
        "lastUpdateTime": timestamp(execution.updated),
        "trigger": {"triggerType": kind, "triggerDetail": detail},
        "executionMode": "QUEUED",
        "executionType": "ROLLBACK" if kind == "AutomatedRollback" else "STANDARD",
    }


def _described(execution: Execution) -> dict[str, Any]:
    variables = execution.namespaces.get("variables", {})
    return {
        "pipelineName": execution.plan.name,
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "variables": [{"name": name, "resolvedValue": value} for name, value in variables.items()],
    }


def _lowered(value: Any, *, keeps: bool = False) -> Any:
    """A CloudFormation value in the words of the API: its keys begin small, except those of a configuration."""
    if isinstance(value, Mapping):
        return {
            key if keeps else key[:1].lower() + key[1:]: _lowered(each, keeps=key == "Configuration")
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_lowered(each) for each in value]
    return value
