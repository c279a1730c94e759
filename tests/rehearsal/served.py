"""A rehearsed account with the tiny model in its registry, for tests that need no pipeline."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk_ml_release.rehearsal.cloud.gateway import Gateway
from cdk_ml_release.rehearsal.cloud.sagemaker_endpoints import SageMakerEndpoints
from cdk_ml_release.rehearsal.cloud.sagemaker_jobs import SageMakerJobs
from cdk_ml_release.rehearsal.cloud.workplace import Workplace
from cdk_ml_release.rehearsal.command import cache_folder
from cdk_ml_release.rehearsal.containers.image import build_image, record_push

TINY = Path(__file__).parent / "tiny" / "model"
BUCKET = "tiny-bucket"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass
class Account:
    """The account and its clients."""

    gateway: Gateway
    place: Workplace

    def aws(self, service: str) -> Any:
        """A client of the person who deploys."""
        return self.gateway.client(service)

    def put(self, key: str, text: str) -> str:
        """Store an object; returns its URI."""
        self.aws("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        return f"s3://{BUCKET}/{key}"

    def read(self, uri: str) -> str | None:
        """An object's text, or None."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            body: bytes = self.aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.aws("s3").exceptions.NoSuchKey:
            return None
        return body.decode()

    def keys(self, prefix: str) -> list[str]:
        """The keys under a prefix, without it."""
        found = self.aws("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
        return [entry["Key"].removeprefix(prefix) for entry in found]

    def role(self, name: str, *statements: Mapping[str, Any]) -> str:
        """A role that SageMaker may assume; without statements it may do everything."""
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam = self.aws("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="Own", PolicyDocument=_policy(*(statements or [EVERYTHING])))
        return arn

    def model(self, name: str, role: str, files: Mapping[str, str] | None = None) -> str:
        """A model of the tiny container, with some of its files changed."""
        image = self._image(name, files or {})
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            content = json.dumps({"slope": 2.0, "offset": 1.0}).encode()
            member = tarfile.TarInfo("model.json")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        self.aws("s3").put_object(Bucket=BUCKET, Key="model/model.tar.gz", Body=archive.getvalue())
        container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/model/model.tar.gz"}
        self.aws("sagemaker").create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
        return name

    def _image(self, tag: str, files: Mapping[str, str]) -> str:
        context = self.place.out / f"context-{tag}"
        shutil.copytree(TINY, context)
        for path, text in files.items():
            (context / path).write_text(text)
        built = build_image(context, store=self.place.images, cache=self.place.cache)
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {"digest": tag}})
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        self.aws("ecr").put_image(repositoryName="tiny", imageManifest=manifest, imageTag=tag, imageDigest=digest)
        record_push(self.place.images, digest, built.digest)
        return f"{self.gateway.account}.dkr.ecr.us-east-1.amazonaws.com/tiny:{tag}"


@contextlib.contextmanager
def open_account(folder: Path) -> Iterator[Account]:
    """An account with a bucket and an image repository."""
    gateway = Gateway("us-east-1")
    place = Workplace(gateway=gateway, out=folder, cache=cache_folder(), startup_seconds=10.0)
    endpoints = SageMakerEndpoints(place)
    gateway.services |= endpoints.services() | SageMakerJobs(place, endpoints.models).services()
    try:
        gateway.client("s3").create_bucket(Bucket=BUCKET)
        gateway.client("ecr").create_repository(repositoryName="tiny")
        yield Account(gateway, place)
    finally:
        endpoints.close()
        for container in place.containers:
            container.stop(2.0)
        gateway.close()


def until(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Look until there is something to see; it is an error if there never is."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
    return seen


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
