"""A container image, copied from registry to registry by calls: no Docker, and nothing larger than a part in memory."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from . import aws
from .contract import StageFailed

# What SageMaker runs; a list of images for several platforms is none of these.
_KINDS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
# Source: botocore, BatchedOperationLayerDigestList.
_MOST_LAYERS = 100
# No layer moves for so long: the stage is to fail then, not to hang.
_TIMEOUT_SECONDS = 60


def copy(source: Any, target: Any, uri: str, images: str, tag: str) -> str:
    """Copy an image, unless it is there.

    Args:
        source: An ECR client of where the image is.
        target: An ECR client of where it is to be.
        uri: The image, by digest.
        images: Where it is to be: a registry and a repository.
        tag: Its tag there.

    Returns:
        The copy, by the same digest.

    Raises:
        StageFailed: if the image is none that SageMaker runs, or does not arrive whole.
    """
    name, _, wanted = uri.partition("@")
    home, repository = name.partition("/")[2], images.partition("/")[2]
    copied = f"{images}@{wanted}"
    if _is_there(target, repository, wanted):
        return copied
    text, kind = _manifest(source, home, wanted)
    manifest = json.loads(text)
    layers = list(dict.fromkeys(each["digest"] for each in (manifest["config"], *manifest["layers"])))
    missing = list(_missing(target, repository, layers))
    print(f"copying {uri} to {images}: {len(missing)} of {len(layers)} layers are not there")
    for digest in missing:
        _copy_layer(source, target, home, repository, digest)
    _put(target, repository, text, kind, wanted, tag)
    return copied


def _is_there(ecr: Any, repository: str, digest: str) -> bool:
    try:
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    except ClientError as error:
        if aws.code(error) == "ImageNotFoundException":
            return False
        if aws.code(error) == "RepositoryNotFoundException":
            raise StageFailed(
                f"there is no image repository '{repository}' in the endpoint's region: deploy the stack "
                f"'{repository}-home', then retry the stage"
            ) from None
        raise
    return True


def _manifest(ecr: Any, repository: str, digest: str) -> tuple[str, str]:
    """The manifest, byte by byte, for its hash is the image's digest."""
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    if not answer["images"]:
        why = "; ".join(each.get("failureReason", each["failureCode"]) for each in answer["failures"])
        raise StageFailed(
            f"the image {digest} is not in the repository '{repository}' any more, {why}: release another version"
        )
    (found,) = answer["images"]
    text: str = found["imageManifest"]
    kind: str = found.get("imageManifestMediaType") or json.loads(text).get("mediaType", "")
    if kind not in _KINDS:
        raise StageFailed(
            f"the image {digest} in '{repository}' is of the kind '{kind}', not one image for one "
            "platform: build the model again, which makes one"
        )
    return text, kind


def _missing(ecr: Any, repository: str, digests: Sequence[str]) -> Iterator[str]:
    for first in range(0, len(digests), _MOST_LAYERS):
        some = digests[first : first + _MOST_LAYERS]
        answer = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=some)
        there = {each["layerDigest"] for each in answer["layers"] if each["layerAvailability"] == "AVAILABLE"}
        yield from (digest for digest in some if digest not in there)


def _copy_layer(source: Any, target: Any, repository: str, there: str, digest: str) -> None:
    url = source.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"]
    upload = target.initiate_layer_upload(repositoryName=there)
    first, read = 0, hashlib.sha256()
    try:
        # The URL is ECR's own, signed for this one layer.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            for part in _parts(response, upload["partSize"]):
                read.update(part)
                target.upload_layer_part(
                    repositoryName=there,
                    uploadId=upload["uploadId"],
                    partFirstByte=first,
                    partLastByte=first + len(part) - 1,
                    layerPartBlob=part,
                )
                first += len(part)
    except (OSError, HTTPException) as problem:
        raise StageFailed(
            f"the layer {digest} of '{repository}' could not be downloaded, {problem}: retry the stage"
        ) from None
    if f"sha256:{read.hexdigest()}" != digest:
        raise StageFailed(
            f"the layer {digest} of '{repository}' arrived broken, {first} bytes of another digest: retry the stage"
        )
    try:
        target.complete_layer_upload(repositoryName=there, uploadId=upload["uploadId"], layerDigests=[digest])
    except ClientError as error:
        # Another release has brought it meanwhile.
        if aws.code(error) != "LayerAlreadyExistsException":
            raise


def _parts(response: BinaryIO, size: int) -> Iterator[bytes]:
    while part := response.read(size):
        yield part


def _put(ecr: Any, repository: str, text: str, kind: str, digest: str, tag: str) -> None:
    try:
        ecr.put_image(
            repositoryName=repository,
            imageManifest=text,
            imageManifestMediaType=kind,
            imageTag=tag,
            # ECR refuses a manifest with another digest.
            imageDigest=digest,
        )
    except ClientError as error:
        if aws.code(error) != "ImageAlreadyExistsException":
            raise
