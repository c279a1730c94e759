"""CodePipeline's and CodeBuild's API, as far as the command line asks: look at a pipeline and start it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ..cloud.account import Account
from ..cloud.calls import Call
from ..cloud.gateway import ApiError, Service
from .execution import Execution
from .walk import StartRefused, Walker

OPERATIONS = frozenset(
    {
        *(("codepipeline", name) for name in ("GetPipeline", "GetPipelineExecution", "StartPipelineExecution")),
        ("codebuild", "BatchGetProjects"),
    }
)


class PipelineApi:
    """Answers for the pipelines and the projects of the rehearsed account."""

    def __init__(self, walkers: Mapping[str, Walker], account: Account) -> None:
        """Answer for what is, or will be, in these."""
        self._walkers = walkers
        self._account = account

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        return {
            ("codepipeline", "GetPipeline"): self._get,
            ("codepipeline", "GetPipelineExecution"): self._get_execution,
            ("codepipeline", "StartPipelineExecution"): self._start,
            ("codebuild", "BatchGetProjects"): self._projects,
        }

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

    def _start(self, call: Call) -> Mapping[str, Any]:
        walker = self._walker(call.parameters["name"])
        given = {each["name"]: each["value"] for each in call.parameters.get("variables", ())}
        try:
            execution = walker.queue("StartPipelineExecution", given)
        except StartRefused as refusal:
            raise ApiError("ValidationException", str(refusal)) from None
        threading.Thread(target=walker.walk, args=(execution,), daemon=True, name=execution.id).start()
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
