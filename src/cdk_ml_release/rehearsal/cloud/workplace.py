"""What every part of a rehearsal shares: the rehearsed AWS, the folders, the time it may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..containers.image import Image, find_pushed
from .clock import Clock
from .gateway import Gateway


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The rehearsed AWS and the folders of one rehearsal."""

    gateway: Gateway
    out: Path
    """Where everything that the rehearsal leaves behind goes."""
    cache: Path
    """What is kept between rehearsals: the containers' Python environments."""
    startup_seconds: float
    """How long a serving container has to answer its first ``/ping``; SageMaker's own limit is 240."""
    clock: Clock = field(default_factory=Clock)
    """How long a declared wait takes."""
    containers: list[Any] = field(default_factory=list)
    """Every container that was started, for the end to stop what still runs."""

    @property
    def images(self) -> Path:
        """The folder that plays the Docker engine's images and the registry's."""
        return self.out / "images"

    def pull(self, image_uri: str, role_arn: str) -> Image:
        """The image of a URI, if the role may pull it.

        Raises:
            ImageMissing: if the registry does not have it, or is another account's.
        """
        registry, _, path = image_uri.partition("/")
        repository, _, digest = path.partition("@")
        owner = registry.partition(".dkr.ecr.")[0]
        if owner.isdecimal() and owner != self.gateway.account:
            raise ImageMissing(
                f"the image {image_uri} is in the registry of another account, {owner}, which the rehearsal does not "
                "have: what runs in it cannot be rehearsed"
            )
        tag = ""
        if not digest:
            repository, _, tag = repository.partition(":")
        wanted = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
        ecr = self.gateway.client("ecr", role_arn)
        found = ecr.batch_get_image(repositoryName=repository, imageIds=[wanted])["images"]
        if not found:
            raise ImageMissing(f"the registry has no image {image_uri}")
        return find_pushed(self.images, found[0]["imageId"]["imageDigest"])


class ImageMissing(Exception):
    """An image that nobody has pushed."""
