"""A deployed pipeline: which models it releases, to which endpoints, and how it is asked for a version."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Client = Callable[[str], Any]


class VersionsError(Exception):
    """Why there is no answer, in one line."""


@dataclass(frozen=True, kw_only=True)
class Released:
    """A model that a pipeline releases."""

    pipeline: str
    model: str
    variable: str
    """The pipeline variable that names the version to release."""
    endpoints: tuple[str, ...]
    """In the order of their stages: the last one is what users see."""


def find(client: Client, pipeline: str, model: str | None = None) -> Released:
    """What a pipeline releases.

    Args:
        client: Gives the client of an AWS service.
        pipeline: The pipeline's name.
        model: Which of its models. Default: the only one.

    Raises:
        VersionsError: if there is no such pipeline, or it does not release the model.
    """
    try:
        stages = client("codepipeline").get_pipeline(name=pipeline)["pipeline"]["stages"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "PipelineNotFoundException":
            raise VersionsError(f"there is no pipeline '{pipeline}' in this account and region") from None
        raise
    actions = [action for stage in stages for action in stage["actions"] if _project(action)]
    names = list(dict.fromkeys(_project(action) for action in actions))
    settings = _settings(client, names)
    choices = {
        settings[_project(action)]["ML_MODEL_NAME"]: variable for action in actions for variable in _variables(action)
    }
    if not choices:
        raise VersionsError(
            f"the pipeline '{pipeline}' cannot release a registered version: it has no variable for one, so deploy it "
            "again with this version of the library"
        )
    if model is None and len(choices) > 1:
        raise VersionsError(f"the pipeline '{pipeline}' releases {_listed(choices)}: choose one with --model")
    model = model if model is not None else next(iter(choices))
    if model not in choices:
        raise VersionsError(f"the pipeline '{pipeline}' releases {_listed(choices)}, not '{model}'")
    (bucket,) = {each["ML_BUCKET"] for each in settings.values() if each.get("ML_MODEL_NAME") == model}
    endpoints = [
        settings[name]["ML_ENDPOINT_NAME"]
        for name in names
        if "ML_ENDPOINT_NAME" in settings[name] and settings[name].get("ML_BUCKET") == bucket
    ]
    return Released(pipeline=pipeline, model=model, variable=choices[model], endpoints=tuple(dict.fromkeys(endpoints)))


def _project(action: Mapping[str, Any]) -> str:
    """The CodeBuild project of an action, or nothing."""
    name: str = action.get("configuration", {}).get("ProjectName", "")
    return name


def _settings(client: Client, projects: list[str]) -> dict[str, dict[str, str]]:
    """The environments of CodeBuild projects: there the programs are told what they work on."""
    if not projects:
        return {}
    found: dict[str, dict[str, str]] = {name: {} for name in projects}
    for project in client("codebuild").batch_get_projects(names=projects)["projects"]:
        variables = project["environment"].get("environmentVariables", ())
        found[project["name"]] = {each["name"]: each["value"] for each in variables}
    return found


def _variables(action: Mapping[str, Any]) -> Iterator[str]:
    """The pipeline variable that an action chooses a version by."""
    for each in json.loads(action["configuration"].get("EnvironmentVariables", "[]")):
        reference = re.fullmatch(r"#\{variables\.([^}]+)\}", each["value"])
        if each["name"] == "ML_MODEL_VERSION" and reference:
            yield reference[1]


def _listed(names: Mapping[str, str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
