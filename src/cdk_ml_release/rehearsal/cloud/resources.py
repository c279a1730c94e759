"""The resource types that the rehearsal can create, and how."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from ..stacks.handler import Handler, Physical, Request, ResourceRefused
from .account import Account
from .gateway import Gateway

Properties = Mapping[str, Any]
_AWS_MANAGED = "arn:aws:iam::aws:policy/"


@dataclass(frozen=True)
class Played:
    """A resource type as three functions; without ``update`` every change replaces the resource."""

    create: Callable[[Request], Physical]
    delete: Callable[[Request, Physical], None]
    update_in_place: Callable[[Request, Physical, Properties], Physical] | None = None
    replaced_by: frozenset[str] = frozenset()

    def update(self, request: Request, physical: Physical, old: Properties) -> Physical:
        """Change the resource in place, or do as a first creation does."""
        if self.update_in_place is not None:
            return self.update_in_place(request, physical, old)
        return physical


def handlers(gateway: Gateway, account: Account) -> dict[str, Handler]:
    """The handler of each resource type, against one rehearsed account."""
    made = _Resources(gateway, account)
    declared = {
        "AWS::CodeBuild::Project": made.declared(account.projects, "Name", "codebuild", "project/"),
        "AWS::CodePipeline::Pipeline": made.declared(account.pipelines, "Name", "codepipeline", ""),
        "AWS::CodeCommit::Repository": made.declared(account.repositories, "RepositoryName", "codecommit", ""),
        "AWS::Events::Rule": made.declared(account.rules, "Name", "events", "rule/"),
    }
    copier = Played(made.deploy_files, made.nothing, lambda request, physical, _: made.deploy_files(request, physical))
    return {
        **declared,
        "AWS::ECR::Repository": Played(
            made.create_images, made.delete_images, replaced_by=frozenset({"RepositoryName"})
        ),
        "AWS::IAM::ManagedPolicy": Played(
            made.create_managed_policy, made.delete_managed_policy, made.update_managed_policy, _by("ManagedPolicyName")
        ),
        "AWS::IAM::Policy": Played(
            made.put_policy, made.delete_policy, lambda request, _, __: made.put_policy(request)
        ),
        "AWS::IAM::Role": Played(made.create_role, made.delete_role, made.update_role, _by("RoleName", "Path")),
        "AWS::Lambda::Function": made.recorded("FunctionName", "lambda"),
        "AWS::Lambda::LayerVersion": made.recorded("LayerName", "lambda"),
        "Custom::CDKBucketDeployment": copier,
        "Custom::MlDataFolder": copier,
        "AWS::KMS::Alias": made.recorded("AliasName"),
        "AWS::KMS::Key": Played(made.create_key, made.nothing),
        "AWS::Logs::LogGroup": Played(made.create_log_group, made.delete_log_group, None, _by("LogGroupName")),
        "AWS::S3::Bucket": Played(
            made.create_bucket, made.delete_bucket, made.update_bucket, frozenset({"BucketName"})
        ),
        # moto would enforce a policy's denials without its conditions, and so close every TLS-only bucket.
        "AWS::S3::BucketPolicy": made.recorded("Bucket"),
        "AWS::SNS::Subscription": made.recorded(),
        "AWS::SNS::Topic": Played(made.create_topic, made.nothing, None, _by("TopicName")),
        "AWS::SNS::TopicPolicy": made.recorded(),
        "AWS::SSM::Parameter": Played(made.put_parameter, made.nothing, lambda r, _, __: made.put_parameter(r)),
        "AWS::SageMaker::ModelPackageGroup": Played(
            made.create_package_group, made.nothing, None, frozenset({"ModelPackageGroupName"})
        ),
    }


class _Resources:
    """The functions behind the types; each speaks to the rehearsed AWS as whoever deploys."""

    def __init__(self, gateway: Gateway, account: Account) -> None:
        self._gateway = gateway
        self._account = account

    def aws(self, service: str, request: Request) -> Any:
        return self._gateway.client(service, request.caller)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._gateway.region}:{self._gateway.account}:{resource}"

    def nothing(self, request: Request, physical: Physical) -> None:
        """The resource goes with the rehearsal."""

    def declared(self, where: dict[str, Properties], name_property: str, service: str, kind: str) -> Handler:
        """A type that other parts of the rehearsal act on: its properties are kept by name."""

        def create(request: Request) -> Physical:
            name = request.properties.get(name_property) or _made_name(request)
            return keep(request, name)

        def keep(request: Request, name: str) -> Physical:
            where[name] = {**request.properties, name_property: name}
            attributes = {"Arn": self.arn(service, f"{kind}{name}"), "Name": name, "Version": "1"}
            return Physical(id=name, attributes=attributes)

        def update(request: Request, physical: Physical, old: Properties) -> Physical:
            return keep(request, physical.id)

        def delete(request: Request, physical: Physical) -> None:
            where.pop(physical.id, None)

        return Played(create, delete, update, frozenset({name_property}))

    def recorded(self, name_property: str = "", service: str = "unknown") -> Handler:
        """A type that changes nothing that a release meets: it exists, and no more."""

        def create(request: Request) -> Physical:
            name = request.properties.get(name_property) or _made_name(request)
            return Physical(id=name, attributes={"Arn": self.arn(service, name)})

        return Played(create, self.nothing)

    def deploy_files(self, request: Request, physical: Physical | None = None) -> Physical:
        """What a Lambda function does for CDK's BucketDeployment or our data folder: unpack archives into a bucket."""
        s3, properties = self.aws("s3", request), request.properties
        prefix = properties.get("DestinationBucketKeyPrefix", "").strip("/")
        sources = zip(properties["SourceBucketNames"], properties["SourceObjectKeys"], strict=True)
        for bucket, key in sources:
            content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    if not name.endswith("/"):
                        target = f"{prefix}/{name}".lstrip("/")
                        s3.put_object(Bucket=properties["DestinationBucketName"], Key=target, Body=archive.read(name))
        return physical or Physical(id=_made_name(request))

    def create_bucket(self, request: Request) -> Physical:
        s3 = self.aws("s3", request)
        name = request.properties.get("BucketName") or _made_name(request, 63).lower()
        region = self._gateway.region
        location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **location)
        physical = Physical(
            id=name,
            attributes={
                "Arn": f"arn:aws:s3:::{name}",
                "DomainName": f"{name}.s3.amazonaws.com",
                "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            },
        )
        return self.update_bucket(request, physical, {})

    def update_bucket(self, request: Request, physical: Physical, old: Properties) -> Physical:
        versioning = request.properties.get("VersioningConfiguration", {}).get("Status")
        if versioning:
            self.aws("s3", request).put_bucket_versioning(
                Bucket=physical.id, VersioningConfiguration={"Status": versioning}
            )
        events = request.properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration")
        # Declared without its one property, the switch is on (source: the resource type's schema).
        if events is not None and str(events.get("EventBridgeEnabled", True)).lower() == "true":
            self._account.event_buckets.add(physical.id)
        else:
            self._account.event_buckets.discard(physical.id)
        return physical

    def delete_bucket(self, request: Request, physical: Physical) -> None:
        self.aws("s3", request).delete_bucket(Bucket=physical.id)

    def create_role(self, request: Request) -> Physical:
        iam, properties = self.aws("iam", request), request.properties
        name = properties.get("RoleName") or _made_name(request, 64)
        role = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"])
        )["Role"]
        self._put_role_policies(iam, name, properties)
        return Physical(id=name, attributes={"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update_role(self, request: Request, physical: Physical, old: Properties) -> Physical:
        iam = self.aws("iam", request)
        iam.update_assume_role_policy(
            RoleName=physical.id, PolicyDocument=json.dumps(request.properties["AssumeRolePolicyDocument"])
        )
        for policy in old.get("Policies", ()):
            iam.delete_role_policy(RoleName=physical.id, PolicyName=policy["PolicyName"])
        for arn in old.get("ManagedPolicyArns", ()):
            if arn.startswith(_AWS_MANAGED):
                iam.delete_role_policy(RoleName=physical.id, PolicyName=arn.rpartition("/")[2])
            else:
                iam.detach_role_policy(RoleName=physical.id, PolicyArn=arn)
        self._put_role_policies(iam, physical.id, request.properties)
        return physical

    def _put_role_policies(self, iam: Any, name: str, properties: Properties) -> None:
        for policy in properties.get("Policies", ()):
            iam.put_role_policy(
                RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(policy["PolicyDocument"])
            )
        for arn in properties.get("ManagedPolicyArns", ()):
            if arn.startswith(_AWS_MANAGED):
                # moto would load all of AWS's policies before anything else; this one is enough.
                self._put_aws_policy(iam, name, arn)
            else:
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    def _put_aws_policy(self, iam: Any, role: str, arn: str) -> None:
        policy = arn.rpartition("/")[2]
        known = json.loads(aws_managed_policies_data)
        if policy not in known:
            raise ResourceRefused(f"the rehearsal does not know AWS's policy {arn}: write its statements into the role")
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(known[policy]["Document"]))

    def delete_role(self, request: Request, physical: Physical) -> None:
        iam = self.aws("iam", request)
        for name in iam.list_role_policies(RoleName=physical.id)["PolicyNames"]:
            iam.delete_role_policy(RoleName=physical.id, PolicyName=name)
        for policy in iam.list_attached_role_policies(RoleName=physical.id)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=physical.id, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=physical.id)

    def put_policy(self, request: Request) -> Physical:
        name = request.properties["PolicyName"]
        document = json.dumps(request.properties["PolicyDocument"])
        for role in request.properties.get("Roles", ()):
            self.aws("iam", request).put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
        return Physical(id=name)

    def delete_policy(self, request: Request, physical: Physical) -> None:
        for role in request.properties.get("Roles", ()):
            self.aws("iam", request).delete_role_policy(RoleName=role, PolicyName=physical.id)

    def create_managed_policy(self, request: Request) -> Physical:
        iam, properties = self.aws("iam", request), request.properties
        name = properties.get("ManagedPolicyName") or _made_name(request, 128)
        policy = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(properties["PolicyDocument"]))["Policy"]
        for role in properties.get("Roles", ()):
            iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
        return Physical(id=policy["Arn"])

    def update_managed_policy(self, request: Request, physical: Physical, old: Properties) -> Physical:
        iam = self.aws("iam", request)
        before = iam.get_policy(PolicyArn=physical.id)["Policy"]["DefaultVersionId"]
        document = json.dumps(request.properties["PolicyDocument"])
        iam.create_policy_version(PolicyArn=physical.id, PolicyDocument=document, SetAsDefault=True)
        # IAM keeps five versions: the last one goes, as CloudFormation would have it.
        iam.delete_policy_version(PolicyArn=physical.id, VersionId=before)
        roles, former = set(request.properties.get("Roles", ())), set(old.get("Roles", ()))
        for role in roles - former:
            iam.attach_role_policy(RoleName=role, PolicyArn=physical.id)
        for role in former - roles:
            iam.detach_role_policy(RoleName=role, PolicyArn=physical.id)
        return physical

    def delete_managed_policy(self, request: Request, physical: Physical) -> None:
        iam = self.aws("iam", request)
        for role in iam.list_entities_for_policy(PolicyArn=physical.id)["PolicyRoles"]:
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=physical.id)
        iam.delete_policy(PolicyArn=physical.id)

    def create_images(self, request: Request) -> Physical:
        name = request.properties.get("RepositoryName") or _made_name(request, 200).lower()
        repository = self.aws("ecr", request).create_repository(
            repositoryName=name, imageTagMutability=request.properties.get("ImageTagMutability", "MUTABLE")
        )["repository"]
        return Physical(
            id=name,
            attributes={"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]},
        )

    def delete_images(self, request: Request, physical: Physical) -> None:
        force = bool(request.properties.get("EmptyOnDelete"))
        self.aws("ecr", request).delete_repository(repositoryName=physical.id, force=force)

    def create_package_group(self, request: Request) -> Physical:
        arn = self.aws("sagemaker", request).create_model_package_group(
            ModelPackageGroupName=request.properties["ModelPackageGroupName"]
        )["ModelPackageGroupArn"]
        return Physical(id=arn, attributes={"ModelPackageGroupArn": arn})

    def create_topic(self, request: Request) -> Physical:
        name = request.properties.get("TopicName") or _made_name(request)
        arn = self.aws("sns", request).create_topic(Name=name)["TopicArn"]
        return Physical(id=arn, attributes={"TopicArn": arn, "TopicName": name})

    def create_log_group(self, request: Request) -> Physical:
        name = request.properties.get("LogGroupName") or _made_name(request)
        self.aws("logs", request).create_log_group(logGroupName=name)
        return Physical(id=name, attributes={"Arn": self.arn("logs", f"log-group:{name}:*")})

    def delete_log_group(self, request: Request, physical: Physical) -> None:
        self.aws("logs", request).delete_log_group(logGroupName=physical.id)

    def create_key(self, request: Request) -> Physical:
        key = self.aws("kms", request).create_key()["KeyMetadata"]
        return Physical(id=key["KeyId"], attributes={"Arn": key["Arn"], "KeyId": key["KeyId"]})

    def put_parameter(self, request: Request) -> Physical:
        properties = request.properties
        name = properties.get("Name") or _made_name(request)
        self.aws("ssm", request).put_parameter(
            Name=name, Value=str(properties["Value"]), Type=properties.get("Type", "String"), Overwrite=True
        )
        return Physical(id=name, attributes={"Type": properties.get("Type", "String"), "Value": properties["Value"]})


def _by(*properties: str) -> frozenset[str]:
    """The properties whose change replaces a resource."""
    return frozenset(properties)


def _made_name(request: Request, longest: int = 100) -> str:
    """A name as CloudFormation makes it: stack, logical id, and an end that nobody can guess."""
    end = uuid.uuid4().hex[:12]
    return f"{request.stack}-{request.logical_id}"[: longest - len(end) - 1] + f"-{end}"
