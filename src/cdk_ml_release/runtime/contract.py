"""What both sides of the wire share: the constructs write it at synth, the programs read it in CodeBuild."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, Self

MODEL_NAME_PATTERN = r"(?!.{33})[a-z0-9](-?[a-z0-9])*"
"""At most 32 characters, so that ``<model>-preprocess-<run>-<attempt>`` stays within SageMaker's 63."""

RUN_LABEL_LENGTH = 12

Task = Literal["preprocess", "train", "evaluate", "baseline"]

VERSION_VARIABLE = "ModelVersion"
"""The pipeline variable that names what an execution releases."""
NEW_VERSION = "new"
"""What that variable holds when the execution is to build a model, instead of releasing one that exists."""


class StageFailed(Exception):
    """The release cannot go on: one line that a person can act on. Anything else is a bug."""


def run_label(execution_id: str) -> str:
    """Shorten a pipeline execution id to the 12 characters that names can afford.

    Args:
        execution_id: A UUID, as CodePipeline gives it.

    Returns:
        Its first 12 hexadecimal digits. A collision is found when the name is used, and refused.
    """
    return execution_id.replace("-", "")[:RUN_LABEL_LENGTH]


def job_name(model_name: str, task: Task, execution_id: str, attempt: int = 1) -> str:
    """Name a job: the same run and attempt always give the same name, of at most 63 characters."""
    suffix = "" if attempt == 1 else f"-{attempt}"
    return f"{model_name}-{task}-{run_label(execution_id)}{suffix}"


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Where one pipeline execution keeps its files: ``s3://<bucket>/runs/<execution id>/``."""

    bucket: str
    execution_id: str

    @property
    def prefix(self) -> str:
        """The key prefix, without a slash at its end."""
        return f"runs/{self.execution_id}"

    def uri(self, path: str) -> str:
        """The S3 URI of something in the run, such as ``data/training``."""
        return f"s3://{self.bucket}/{self.prefix}/{path}"

    @property
    def manifest_key(self) -> str:
        """The key of ``release.json``."""
        return f"{self.prefix}/release.json"

    @property
    def evaluation_key(self) -> str:
        """The key of ``evaluation.json``."""
        return f"{self.prefix}/evaluation/evaluation.json"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A limit that a model must keep."""

    metric: str
    """Path into ``evaluation.json``, dots between its parts."""
    comparison: Literal["at_most", "at_least"]
    limit: float
    current: bool = False
    """Whether it is held against the model in service: ``limit`` is then how much worse a model may be."""
    endpoint: str = ""
    """Which endpoint's model that is; empty for every one."""

    def against(self, current: float) -> Gate:
        """The limit that a model in service, whose metric is ``current``, sets to others."""
        # Room for the last digits of the sum, so that as good is never worse.
        worse = self.limit + abs(current) * 1e-12
        limit = current + worse if self.comparison == "at_most" else current - worse
        return Gate(metric=self.metric, comparison=self.comparison, limit=limit)

    def allows(self, value: float) -> bool:
        """Whether ``value`` keeps the limit; a value that is not a number never does."""
        return value <= self.limit if self.comparison == "at_most" else value >= self.limit

    def __str__(self) -> str:
        return f"{self.metric} {self.rule}"

    @property
    def rule(self) -> str:
        """The limit in words, such as ``at most 2.5``."""
        if self.current:
            return f"at most {self.limit:.15g} worse than in service" if self.limit else "no worse than in service"
        return f"{self.comparison.replace('_', ' ')} {self.limit:.15g}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A record that travels to a program through the environment of its build.

    A field is a variable, such as ``ML_BUCKET`` for ``bucket``: a text as it is, anything else as JSON. No variable
    may be empty, so what is empty is left out, and must be empty by default.
    """

    def to_environment(self) -> dict[str, str]:
        """The record as environment variables."""
        values = asdict(self).items()
        texts = {_variable(name): value if isinstance(value, str) else json.dumps(value) for name, value in values}
        return {name: text for name, text in texts.items() if text}

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read back what :meth:`to_environment` wrote.

        Raises:
            KeyError: naming a variable that is not there.
        """
        given = [each for each in fields(cls) if each.default is MISSING or _variable(each.name) in env]
        texts = {each: env[_variable(each.name)] for each in given}
        # Annotations are texts in this package.
        return cls(**{each.name: text if each.type == "str" else json.loads(text) for each, text in texts.items()})


def _variable(field_name: str) -> str:
    return f"ML_{field_name.upper()}"


@dataclass(frozen=True, kw_only=True)
class BuildSettings(Settings):
    """What the build programs know from synth: the environment of their CodeBuild project."""

    model_name: str
    bucket: str
    data_uri: str
    """The raw data: every object under this S3 prefix."""
    package_group: str
    versions_arn: str
    """What the ARN of every registered version begins with: a slash and the version's number follow."""
    gates: tuple[Gate, ...]
    values: Mapping[str, str]
    """What the placeholders of the request documents stand for, as far as the deployed stack knows it."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read back what :meth:`to_environment` wrote."""
        settings = super().from_environment(env)
        return replace(settings, gates=tuple(Gate(**gate) for gate in json.loads(env["ML_GATES"])))


@dataclass(frozen=True, kw_only=True)
class BuildRun(Settings):
    """What only a run knows: the environment that a pipeline action adds, and hands from step to step."""

    execution_id: str
    image_uri: str
    """The container image by digest: ``<registry>/<repository>@sha256:...``."""
    commit: str
    data_version: str = ""
    model_data: str = ""


@dataclass(frozen=True, kw_only=True)
class ReleaseSettings(Settings):
    """What the deploy programs know from synth: the environment of their CodeBuild project."""

    endpoint_name: str
    stack_name: str
    bucket: str
    parameters: Mapping[str, str]
    """The parameters of the endpoint's template that the deployed stack knows, such as ``ModelRoleArn``."""
    target_role: str = ""
    """The role to assume for whatever is about the endpoint, if that is in another account."""
    region: str = ""
    """The region of the endpoint, if that is another one; the rest is the home of the model there."""
    region_bucket: str = ""
    region_images: str = ""
    """Where images are pushed to and pulled from: a registry and a repository."""
    region_group: str = ""
    """The model package group."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The release manifest, ``release.json``: all that later steps may know of the model they release."""

    execution_id: str
    model_name: str
    model_package_arn: str
    image_uri: str
    model_data: str
    commit: str
    data_version: str
    evaluation_uri: str
    predictions_uri: str
    metrics: dict[str, float]
    """The gated and the reported metrics, by their path in ``evaluation.json``."""

    @property
    def version(self) -> int:
        """The number of the model version in its registry; 0 as long as it is not registered."""
        number = self.model_package_arn.rpartition("/")[2]
        return int(number) if number.isdecimal() else 0

    def to_json(self) -> str:
        """The manifest as it is stored."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a stored manifest; what a later version of this library has added to it is left out."""
        stored = json.loads(text)
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__})


def endpoint_record_key(endpoint_name: str) -> str:
    """The key of the manifest that an endpoint serves, written when its release was verified."""
    return f"in-service/{endpoint_name}.json"


def fill(document: Any, values: Mapping[str, str]) -> Any:
    """Replace every ``${Name}`` in the strings of a request document.

    Args:
        document: A JSON value, as rendered at synth.
        values: What each name stands for; any other ``${...}`` is the user's own and stays.
    """
    if isinstance(document, str):
        return re.sub(r"\$\{(\w+)\}", lambda name: values.get(name[1], name[0]), document)
    if isinstance(document, list):
        return [fill(item, values) for item in document]
    if isinstance(document, dict):
        return {key: fill(value, values) for key, value in document.items()}
    return document
