"""Build the container once and push it."""

import base64

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime.container import container
from cdk_ml_release.runtime.contract import StageFailed

from .fakes import STARTED, Refused, played_by
from .samples import EXECUTION

REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/abalone"
DIGEST = "sha256:" + "1" * 64
DOCKER = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in
  login) cat > "{folder}/password";;
  push) [ -n "{pushes}" ] && touch "{folder}/pushed";;
esac
[ "$1" != "{fails}" ]
"""


class FakeEcr:
    """A registry that has the image as soon as docker has pushed it."""

    def __init__(self, folder, refusal="ImageNotFoundException"):
        self.pushed = folder / "pushed"
        self.refusal = refusal

    def describe_images(self, repositoryName, imageIds):  # noqa: N803
        assert (repositoryName, imageIds) == ("abalone", [{"imageTag": EXECUTION}])
        if self.pushed.exists():
            return {"imageDetails": [{"imageDigest": DIGEST}]}
        raise Refused(self.refusal, "there is no such thing")

    def get_authorization_token(self):
        token = base64.b64encode(b"AWS:secret").decode()
        return {"authorizationData": [{"authorizationToken": token, "expiresAt": STARTED}]}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Build in a source folder, with a docker of our own; returns exports, and the commands that docker was given."""
    source, tools, log = tmp_path / "source", tmp_path / "bin", tmp_path / "log"
    source.mkdir()
    tools.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(source)
    monkeypatch.setenv("PATH", str(tools), prepend=":")

    def run(folder=".", *, fails="", pushes="yes", ecr=None):
        (tools / "docker").write_text(DOCKER.format(log=log, folder=tmp_path, fails=fails, pushes=pushes))
        (tools / "docker").chmod(0o755)
        env = {"ML_REPOSITORY_URI": REPOSITORY, "ML_EXECUTION_ID": EXECUTION, "ML_CONTAINER_FOLDER": folder}
        exports = container(env, {"ecr": played_by("ecr", ecr or FakeEcr(tmp_path))}.__getitem__)
        return exports, log.read_text().splitlines() if log.exists() else []

    return run


def test_the_image_is_built_and_pushed_under_the_execution_and_known_by_its_digest(build, tmp_path):
    exports, commands = build()

    assert exports == {"IMAGE_URI": f"{REPOSITORY}@{DIGEST}"}
    assert commands == [
        f"login --username AWS --password-stdin {REGISTRY}",
        f"build --platform linux/amd64 --provenance=false --tag {REPOSITORY}:{EXECUTION} .",
        f"push {REPOSITORY}:{EXECUTION}",
    ]
    assert (tmp_path / "password").read_text() == "secret"


def test_an_image_that_an_earlier_try_has_pushed_is_not_built_again(build, tmp_path):
    (tmp_path / "pushed").touch()

    exports, commands = build()

    assert exports == {"IMAGE_URI": f"{REPOSITORY}@{DIGEST}"}
    assert commands == []


def test_refuses_a_source_without_a_dockerfile(build):
    with pytest.raises(StageFailed, match=r"no Dockerfile in the folder 'model' of the source: add one, or name its"):
        build("model")


@pytest.mark.parametrize(
    ("command", "cure"),
    [("login", "retry the stage"), ("build", "mend the Dockerfile or the source"), ("push", "retry the stage")],
)
def test_fails_when_docker_fails(build, command, cure):
    with pytest.raises(StageFailed, match=f"'docker {command}' failed, its output above says why: {cure}"):
        build(fails=command)


def test_fails_when_the_registry_does_not_have_what_was_pushed(build):
    with pytest.raises(StageFailed, match="was pushed, but the registry does not have it: retry the stage"):
        build(pushes="")


def test_refuses_to_take_a_missing_repository_for_a_missing_image(build, tmp_path):
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        build(ecr=FakeEcr(tmp_path, "RepositoryNotFoundException"))
