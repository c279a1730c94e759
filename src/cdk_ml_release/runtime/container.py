"""Build the model's container once per execution and push it; everything after uses its digest."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from . import aws, program
from .contract import StageFailed


def container(env: Mapping[str, str], client: Callable[[str], Any] = aws.client) -> dict[str, str]:
    """Build and push the image of this execution, unless an earlier try has done it.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.

    Returns:
        ``IMAGE_URI``: the image by digest.
    """
    folder = Path(env["ML_CONTAINER_FOLDER"])
    if not (folder / "Dockerfile").is_file():
        raise StageFailed(
            f"no Dockerfile in the folder '{folder}' of the source: add one, or name its folder in "
            "MlBuildStage(container_folder=...)"
        )
    return {"IMAGE_URI": image(client("ecr"), env["ML_REPOSITORY_URI"], env["ML_EXECUTION_ID"], folder)}


def image(ecr: Any, repository_uri: str, tag: str, folder: Path) -> str:
    """Build and push an image, unless the registry has its tag already.

    Args:
        ecr: An ECR client.
        repository_uri: Where the image goes; its tags never change.
        tag: The image's only tag.
        folder: What is built; it has a Dockerfile.

    Returns:
        The image by digest.

    Raises:
        StageFailed: if Docker fails.
    """
    repository = repository_uri.partition("/")[2]
    digest = _pushed(ecr, repository, tag)
    if digest is None:
        _login(ecr, repository_uri)
        name = f"{repository_uri}:{tag}"
        # Without attestations the push is a plain image manifest, the kind that SageMaker pulls.
        _docker("build", "--platform", "linux/amd64", "--provenance=false", "--tag", name, str(folder))
        _docker("push", name)
        digest = _pushed(ecr, repository, tag)
        if digest is None:
            raise StageFailed(f"the image {name} was pushed, but the registry does not have it: retry the stage")
    print(f"image {repository_uri}@{digest}")
    return f"{repository_uri}@{digest}"


def _pushed(ecr: Any, repository: str, tag: str) -> str | None:
    try:
        images = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"]
    except ClientError as error:
        if aws.code(error) == "ImageNotFoundException":
            return None
        raise
    digest: str = images[0]["imageDigest"]
    return digest


def _login(ecr: Any, repository_uri: str) -> None:
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    registry = repository_uri.partition("/")[0]
    _docker("login", "--username", user, "--password-stdin", registry, stdin=password)


def _docker(*arguments: str, stdin: str | None = None) -> None:
    if subprocess.run(["docker", *arguments], input=stdin, text=True, check=False).returncode != 0:
        cure = "mend the Dockerfile or the source" if arguments[0] == "build" else "retry the stage"
        raise StageFailed(f"'docker {arguments[0]}' failed, its output above says why: {cure}")


if __name__ == "__main__":
    sys.exit(program.run(container))
