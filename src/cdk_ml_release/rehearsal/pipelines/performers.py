"""How each type of pipeline action is performed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ..archives import zip_folder
from ..cloud.account import Account
from ..cloud.gateway import ApiError
from ..cloud.workplace import Workplace
from ..stacks.stacks import StackFailed, Stacks
from ..stacks.template import TemplateRefused
from .build import Build
from .execution import Execution, Outcome, UnknownVariable
from .plan import Action

Performer = Callable[[Action, Execution, Callable[[str], None]], Outcome]


class ActionFailed(Exception):
    """Why an action failed, in one line."""


@dataclass(kw_only=True)
class Performers:
    """The action types that the rehearsal knows."""

    place: Workplace
    account: Account
    stacks: Stacks
    sources: dict[str, Path]
    """Which local folder plays which repository, connection or archive."""
    approve: Callable[[str, str], bool]
    """Answers an approval: takes its name and its message."""
    deployers: dict[str, Any]
    """Stack name to the role that CloudFormation creates and deletes it with."""

    def all(self) -> dict[tuple[str, str], Performer]:
        """Category and provider to what performs it."""
        return {
            ("Source", "CodeCommit"): self._refusing(self._code_commit),
            ("Source", "CodeStarSourceConnection"): self._refusing(self._connection),
            ("Source", "S3"): self._refusing(self._s3_source),
            ("Build", "CodeBuild"): self._refusing(self._code_build),
            ("Test", "CodeBuild"): self._refusing(self._code_build),
            ("Approval", "Manual"): self._refusing(self._approval),
            ("Deploy", "CloudFormation"): self._refusing(self._cloud_formation),
        }

    def _refusing(self, perform: Performer) -> Performer:
        """What goes wrong in the rehearsed AWS is the action's failure; anything else is a bug."""

        def performed(action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
            try:
                return perform(action, execution, log)
            except (ActionFailed, ApiError, ClientError, StackFailed, TemplateRefused, UnknownVariable) as failure:
                log(str(failure))
                return Outcome(succeeded=False, message=str(failure))

        return performed

    def _configuration(self, action: Action, execution: Execution) -> Mapping[str, Any]:
        configuration: Mapping[str, Any] = execution.resolve(action.configuration)
        return configuration

    def _allowed(self, action: Action, resource: str, *actions: str, context: Mapping[str, str] | None = None) -> None:
        for each in actions:
            self.place.gateway.authorize(action.role_arn, each, resource, context or {})

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.place.gateway.region}:{self.place.gateway.account}:{resource}"

    def _store(self, execution: Execution, action: Action, output: str, content: bytes, role: str) -> None:
        key = execution.key_for(action, output)
        s3 = self.place.gateway.client("s3", role)
        s3.put_object(Bucket=execution.plan.bucket, Key=key, Body=content)
        execution.artifacts[output] = key

    def _fetch(self, execution: Execution, artifact: str, role: str) -> bytes:
        if artifact not in execution.artifacts:
            raise ActionFailed(f"no action has made the artifact '{artifact}' yet")
        s3 = self.place.gateway.client("s3", role)
        found = s3.get_object(Bucket=execution.plan.bucket, Key=execution.artifacts[artifact])
        content: bytes = found["Body"].read()
        return content

    def _folder(self, name: str) -> Path:
        if name not in self.sources:
            known = ", ".join(f"'{each}'" for each in self.sources) or "none"
            raise ActionFailed(
                f"no folder plays the source '{name}': name it under [sources] in rehearsal.toml ({known})"
            )
        return self.sources[name]

    def _code(self, action: Action, execution: Execution, name: str) -> str:
        content = zip_folder(self._folder(name))
        for output in action.outputs:
            self._store(execution, action, output, content, action.role_arn)
        return hashlib.sha1(content, usedforsecurity=False).hexdigest()

    def _code_commit(self, action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
        configuration = self._configuration(action, execution)
        name = configuration["RepositoryName"]
        self._allowed(
            action,
            self._arn("codecommit", name),
            *("codecommit:GetBranch", "codecommit:GetCommit", "codecommit:GetUploadArchiveStatus"),
            "codecommit:UploadArchive",
        )
        commit = self._code(action, execution, name)
        log(f"commit {commit} of {name}")
        variables = {"CommitId": commit, "BranchName": configuration["BranchName"], "RepositoryName": name}
        return Outcome(succeeded=True, message=commit[:8], variables=variables | {"CommitMessage": "rehearsal"})

    def _connection(self, action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
        configuration = self._configuration(action, execution)
        name, connection = configuration["FullRepositoryId"], configuration["ConnectionArn"]
        service = connection.split(":")[2]
        self._allowed(action, connection, f"{service}:UseConnection")
        commit = self._code(action, execution, name)
        log(f"commit {commit} of {name}")
        variables = {"CommitId": commit, "BranchName": configuration["BranchName"], "FullRepositoryName": name}
        return Outcome(succeeded=True, message=commit[:8], variables=variables | {"CommitMessage": "rehearsal"})

    def _s3_source(self, action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
        configuration = self._configuration(action, execution)
        key = configuration["S3ObjectKey"]
        s3 = self.place.gateway.client("s3", action.role_arn)
        self.place.gateway.client("s3").put_object(
            Bucket=configuration["S3Bucket"], Key=key, Body=zip_folder(self._folder(key))
        )
        found = s3.get_object(Bucket=configuration["S3Bucket"], Key=key)
        if "VersionId" not in found:
            raise ActionFailed(f"the bucket '{configuration['S3Bucket']}' must be versioned to be a source")
        content = found["Body"].read()
        for output in action.outputs:
            self._store(execution, action, output, content, action.role_arn)
        log(f"version {found['VersionId']} of {key}")
        variables = {"VersionId": found["VersionId"], "ETag": found["ETag"].strip('"')}
        return Outcome(succeeded=True, message=found["VersionId"][:8], variables=variables)

    def _code_build(self, action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
        configuration = self._configuration(action, execution)
        name = configuration["ProjectName"]
        if name not in self.account.projects:
            raise ActionFailed(f"there is no CodeBuild project '{name}'")
        project = self.account.projects[name]
        self._allowed(
            action, self._arn("codebuild", f"project/{name}"), "codebuild:StartBuild", "codebuild:BatchGetBuilds"
        )
        role = self.place.gateway.assume(project["ServiceRole"], "codebuild.amazonaws.com")
        self._can_log(role, _log_group(project, name))
        primary = configuration.get("PrimarySource", action.inputs[0])
        built = Build(
            place=self.place,
            project=project,
            role_arn=role,
            source=self._fetch(execution, primary, role),
            overrides={
                each["name"]: (each.get("type", "PLAINTEXT"), each["value"])
                for each in json.loads(configuration.get("EnvironmentVariables", "[]"))
            },
            log=log,
            initiator=f"codepipeline/{execution.plan.name}",
        ).run()
        if not built.succeeded:
            return Outcome(succeeded=False, message=built.message)
        for output in action.outputs:
            content = built.artifacts.get("" if len(action.outputs) == 1 and "" in built.artifacts else output)
            if content is None:
                raise ActionFailed(f"the build '{name}' leaves no artifact '{output}': declare it in its buildspec")
            self._store(execution, action, output, content, role)
        return Outcome(succeeded=True, variables=built.exported)

    def _can_log(self, role: str, group: str) -> None:
        for stream, act in (("", "logs:CreateLogStream"), (":log-stream:rehearsal", "logs:PutLogEvents")):
            arn = self._arn("logs", f"log-group:{group}{stream or ':*'}")
            self.place.gateway.authorize(role, act, arn, {})

    def _approval(self, action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
        configuration = self._configuration(action, execution)
        message = configuration.get("CustomData", "")
        if "NotificationArn" in configuration:
            topic = configuration["NotificationArn"]
            self.place.gateway.client("sns", action.role_arn).publish(
                TopicArn=topic, Subject=f"APPROVAL NEEDED: {execution.plan.name}"[:100], Message=message or action.name
            )
        log(message)
        if not self.approve(action.name, message):
            return Outcome(succeeded=False, message=f"rejected: {message}")
        return Outcome(succeeded=True, message=message)

    def _cloud_formation(self, action: Action, execution: Execution, log: Callable[[str], None]) -> Outcome:
        configuration = self._configuration(action, execution)
        name, mode = configuration["StackName"], configuration["ActionMode"]
        if mode not in ("CREATE_UPDATE", "REPLACE_ON_FAILURE", "DELETE_ONLY"):
            raise ActionFailed(f"the rehearsal does not know the CloudFormation action mode {mode}")
        verbs = ["DescribeStacks", *(("CreateStack", "UpdateStack") if mode != "DELETE_ONLY" else ())]
        verbs += ["DeleteStack"] if mode != "CREATE_UPDATE" else []
        stack = self._arn("cloudformation", f"stack/{name}/rehearsal")
        self._allowed(action, stack, *(f"cloudformation:{verb}" for verb in verbs))
        role = configuration.get("RoleArn", action.role_arn)
        passed = {"iam:PassedToService": "cloudformation.amazonaws.com"}
        if "RoleArn" in configuration:
            self._allowed(action, role, "iam:PassRole", context=passed)
            self.place.gateway.assume(role, "cloudformation.amazonaws.com")
        if mode == "DELETE_ONLY":
            self.stacks.delete(name, caller=role)
            return Outcome(succeeded=True)
        template = json.loads(self._file(execution, configuration["TemplatePath"], action.role_arn))
        _check_capabilities(template, configuration.get("Capabilities", ""))
        parameters: dict[str, str] = {}
        if "TemplateConfiguration" in configuration:
            content = self._file(execution, configuration["TemplateConfiguration"], action.role_arn)
            parameters |= json.loads(content).get("Parameters", {})
        overrides = json.loads(configuration.get("ParameterOverrides", "{}"))
        parameters |= {key: self._override(value, execution, action) for key, value in overrides.items()}
        self.deployers[name] = role
        replace = mode == "REPLACE_ON_FAILURE"
        done = self.stacks.deploy(name, template, parameters=parameters, caller=role, replace_failed=replace)
        log(f"stack {name} is {done.status}")
        return Outcome(succeeded=True, variables=dict(done.outputs))

    def _file(self, execution: Execution, location: str, role: str) -> bytes:
        artifact, _, path = location.partition("::")
        with zipfile.ZipFile(io.BytesIO(self._fetch(execution, artifact, role))) as archive:
            try:
                return archive.read(path)
            except KeyError:
                raise ActionFailed(f"the artifact '{artifact}' has no file '{path}'") from None

    def _override(self, value: Any, execution: Execution, action: Action) -> str:
        if isinstance(value, dict) and "Fn::GetParam" in value:
            artifact, path, key = value["Fn::GetParam"]
            return str(json.loads(self._file(execution, f"{artifact}::{path}", action.role_arn))[key])
        if isinstance(value, dict):
            raise ActionFailed(f"the rehearsal does not know the parameter override {json.dumps(value)}")
        return str(value)


def _check_capabilities(template: Mapping[str, Any], given: str) -> None:
    makes_roles = any(each["Type"].startswith("AWS::IAM::") for each in template.get("Resources", {}).values())
    if makes_roles and "CAPABILITY" not in given:
        raise ActionFailed("Requires capabilities : [CAPABILITY_IAM]: the template makes IAM resources")


def _log_group(project: Mapping[str, Any], name: str) -> str:
    """Where CodeBuild writes the log of a project."""
    logs = project.get("LogsConfig", {}).get("CloudWatchLogs", {})
    return str(logs.get("GroupName") or f"/aws/codebuild/{name}")
