"""Container registries, which moto has without layers: two actors, and a server that layers are downloaded from."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .fakes import Refused

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class FakeRegistry:
    """The repositories of one region, each with images and layers by digest."""

    address: str = ""
    """Where layers are downloaded from."""
    part_size: int = 16
    images: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    layers: dict[str, dict[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    """What has changed it, in order."""

    def push(self, repository: str, *layers: bytes, kind: str = DOCKER_IMAGE) -> str:
        """What ``docker push`` leaves; returns the image's digest."""
        config = b'{"architecture": "amd64"}'
        told = [{"digest": digest_of(each), "size": len(each)} for each in (config, *layers)]
        text = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": told[0], "layers": told[1:]}, indent=3)
        self.layers.setdefault(repository, {}).update({digest_of(each): each for each in (config, *layers)})
        self.images.setdefault(repository, {})[digest_of(text.encode())] = text, kind
        return digest_of(text.encode())

    def describe_images(self, repositoryName, imageIds):  # noqa: N803
        digest = imageIds[0]["imageDigest"]
        if digest not in self.images.get(repositoryName, {}):
            raise Refused("ImageNotFoundException", f"no image {digest}")
        return {"imageDetails": [{"imageDigest": digest}]}

    def batch_get_image(self, repositoryName, imageIds):  # noqa: N803
        found, digest = self.images.get(repositoryName, {}), imageIds[0]["imageDigest"]
        if digest not in found:
            failure = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
            return {"images": [], "failures": [failure]}
        text, kind = found[digest]
        return {"images": [{"imageManifest": text, "imageManifestMediaType": kind}], "failures": []}

    def get_download_url_for_layer(self, repositoryName, layerDigest):  # noqa: N803
        return {"downloadUrl": f"{self.address}/{repositoryName}/{layerDigest}", "layerDigest": layerDigest}

    def batch_check_layer_availability(self, repositoryName, layerDigests):  # noqa: N803
        assert 1 <= len(layerDigests) <= 100
        there = self.layers.get(repositoryName, {})
        return {
            "layers": [
                {"layerDigest": each, "layerAvailability": "AVAILABLE", "layerSize": len(there[each])}
                for each in layerDigests
                if each in there
            ],
            "failures": [
                {"layerDigest": each, "failureCode": "MissingLayerDigest"} for each in layerDigests if each not in there
            ],
        }

    def initiate_layer_upload(self, repositoryName):  # noqa: N803
        upload = f"upload-{len(self.uploads)}"
        self.uploads[upload] = b""
        return {"uploadId": upload, "partSize": self.part_size}

    def upload_layer_part(self, repositoryName, uploadId, partFirstByte, partLastByte, layerPartBlob):  # noqa: N803
        before = self.uploads[uploadId]
        assert partFirstByte == len(before) and partLastByte - partFirstByte + 1 == len(layerPartBlob)
        # Only the last part may be shorter.
        assert len(before) % self.part_size == 0 and len(layerPartBlob) <= self.part_size
        self.uploads[uploadId] = before + layerPartBlob
        return {"uploadId": uploadId, "lastByteReceived": partLastByte}

    def complete_layer_upload(self, repositoryName, uploadId, layerDigests):  # noqa: N803
        (digest,) = layerDigests
        content = self.uploads[uploadId]
        there = self.layers.setdefault(repositoryName, {})
        if digest_of(content) != digest:
            raise Refused("InvalidLayerException", f"not {digest}")
        if digest in there:
            raise Refused("LayerAlreadyExistsException", f"{digest} is there")
        there[digest] = content
        self.calls.append(f"layer {digest}")
        return {"layerDigest": digest, "uploadId": uploadId}

    def put_image(self, repositoryName, imageManifest, imageManifestMediaType, imageTag, imageDigest):  # noqa: N803
        manifest, images = json.loads(imageManifest), self.images.setdefault(repositoryName, {})
        if digest_of(imageManifest.encode()) != imageDigest:
            raise Refused("ImageDigestDoesNotMatchException", imageDigest)
        missing = [
            each["digest"]
            for each in (manifest["config"], *manifest["layers"])
            if each["digest"] not in self.layers.get(repositoryName, {})
        ]
        if missing:
            raise Refused("LayersNotFoundException", ", ".join(missing))
        if imageDigest in images:
            raise Refused("ImageAlreadyExistsException", imageDigest)
        images[imageDigest] = imageManifest, imageManifestMediaType
        self.tags.setdefault(repositoryName, {})[imageTag] = imageDigest
        self.calls.append(f"image {imageDigest}")
        return {"image": {"imageId": {"imageDigest": imageDigest, "imageTag": imageTag}}}


@dataclass
class Downloads:
    """What is wrong with some downloads: the layer's digest to what becomes of its answer."""

    broken: dict[str, str] = field(default_factory=dict)


@contextmanager
def downloads_of(registry: FakeRegistry) -> Iterator[Downloads]:
    """Serve the layers of a registry on this machine."""
    wrong = Downloads()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository, _, digest = self.path[1:].rpartition("/")
            content, how = registry.layers[repository][digest], wrong.broken.get(digest)
            if how == "refused":
                self.send_error(403, "Request has expired")
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            sent: Mapping[str | None, bytes] = {"cut off": content[:-1], "altered": content[:-1] + b"?"}
            self.wfile.write(sent.get(how, content))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield wrong
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
