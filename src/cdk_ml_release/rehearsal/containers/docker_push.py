"""docker push: an image, brought to Amazon ECR by the calls that the real client causes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .docker_references import DockerError, References
from .image import record_push

__all__ = ["push"]

_REFERENCE = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[^/]+)"
    r"/(?P<repository>[^:@]+):(?P<tag>[\w.-]+)"
)
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_SAID = {
    "AccessDenied": "denied: {}",
    "AccessDeniedException": "denied: {}",
    "ExpiredTokenException": "denied: Your authorization token has expired. Reauthenticate and try again.",
    "ImageAlreadyExistsException": "tag invalid: {}",
    "ImageTagAlreadyExistsException": "tag invalid: {}",
    "RepositoryNotFoundException": "name unknown: {}",
}


def push(store: Path, reference: str, references: References, say: Callable[[str], None]) -> None:
    """Push an image, and remember the digest that the registry gives it.

    Args:
        store: The folder that holds all images.
        reference: Registry, repository and tag.
        references: The names of the images in the store.
        say: Told what ``docker push`` prints.

    Raises:
        DockerError: if the registry refuses, or is not Amazon ECR.
    """
    target = _REFERENCE.fullmatch(reference)
    if not target:
        raise DockerError(
            f"docker push: the rehearsal pushes to Amazon ECR only, got {reference!r}; "
            "name the image <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>"
        )
    digest = references.find(reference)
    registry, account, region, repository, tag = target.groups()
    say(f"The push refers to repository [{registry}/{repository}]")
    try:
        # endpoint and credentials come from the environment, as for every program of a rehearsed build
        client = boto3.client("ecr", region_name=region)
        manifest, pushed = _upload(client, {"registryId": account, "repositoryName": repository}, digest, tag, say)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise DockerError(_SAID.get(code, f"error from registry: {code}: {{}}").format(message)) from error
    except BotoCoreError as error:
        raise DockerError(f"no basic auth credentials: {error}") from error
    record_push(store, pushed, digest)
    references.set(f"{registry}/{repository}@{pushed}", digest)
    say(f"{tag}: digest: {pushed} size: {len(manifest)}")


def _upload(
    client: Any, repository: dict[str, str], digest: str, tag: str, say: Callable[[str], None]
) -> tuple[str, str]:
    # the files stay in the store; what travels is enough to be a different image for a different digest
    layer = json.dumps({"image": digest}).encode()
    layer_digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    checked = client.batch_check_layer_availability(**repository, layerDigests=[layer_digest])
    if any(found.get("layerAvailability") == "AVAILABLE" for found in checked.get("layers", [])):
        say(f"{layer_digest[7:19]}: Layer already exists")
    else:
        upload = client.initiate_layer_upload(**repository)["uploadId"]
        client.upload_layer_part(
            **repository, uploadId=upload, partFirstByte=0, partLastByte=len(layer) - 1, layerPartBlob=layer
        )
        client.complete_layer_upload(**repository, uploadId=upload, layerDigests=[layer_digest])
        say(f"{layer_digest[7:19]}: Pushed")
    manifest = _manifest(digest, layer_digest, len(layer))
    manifest_digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    try:
        answer = client.put_image(
            **repository, imageManifest=manifest, imageManifestMediaType=_MANIFEST_TYPE,
            imageTag=tag, imageDigest=manifest_digest,
        )  # fmt: skip
    except client.exceptions.ImageAlreadyExistsException as error:
        if manifest_digest not in str(error):  # the tag is taken, by the image that the message names
            raise
        return manifest, manifest_digest
    return manifest, answer["image"]["imageId"]["imageDigest"]


def _manifest(digest: str, layer_digest: str, size: int) -> str:
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": size, "digest": digest}
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "size": size,
        "digest": layer_digest,
    }
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": [layer]}
    return json.dumps(manifest, indent=3)
