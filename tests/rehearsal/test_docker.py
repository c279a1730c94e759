"""The docker command of a rehearsed build: what a buildspec's shell may ask of it."""

import json
import os
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cdk_ml_release.rehearsal.containers.docker import install
from cdk_ml_release.rehearsal.containers.image import find_pushed

REGISTRY = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/abalone"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def docker(tmp_path):
    """Runs a shell line in the model's folder, with our docker on its PATH."""
    install(tmp_path / "bin")
    context = tmp_path / "model"
    context.mkdir()
    (context / "Dockerfile").write_text('FROM python:3.11\nARG LEVEL=info\nENV LEVEL=$LEVEL\nCMD ["serve"]\n')
    # a model's folder may hold anything, and must not disturb the command itself
    for name in ("types.py", "docker.py", "json.py"):
        (context / name).write_text("raise SystemExit('imported from the model')")

    def docker(line, **environment):
        return subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=context,
            env={
                "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
                "ML_REHEARSAL_IMAGES": str(tmp_path / "store"),
                "ML_REHEARSAL_CACHE": str(tmp_path / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    docker.store = tmp_path / "store"
    docker.context = context
    return docker


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def registry(endpoint):
    """An ECR with one repository of immutable tags: its client, its name, and the environment for it."""
    client = boto3.client(
        "ecr", region_name="eu-west-1", endpoint_url=endpoint,
        aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret",
    )  # fmt: skip
    created = client.create_repository(repositoryName="abalone", imageTagMutability="IMMUTABLE")
    yield client, created["repository"]["repositoryUri"], {"AWS_ENDPOINT_URL": endpoint, **CREDENTIALS}
    client.delete_repository(repositoryName="abalone", force=True)
    client.close()


# --- images of this machine -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "docker build -t abalone:1 .",
        "docker build . --tag abalone:1 --platform linux/amd64 --provenance=false --pull --no-cache",
        "docker buildx build --load -t abalone:1 -f Dockerfile .",
        "docker image build -q -t abalone:1 $PWD",
        "docker build -t other . && docker tag other abalone:1",
        "docker build --iidfile id . && docker tag $(cat id) abalone:1",
        "docker tag $(docker build -q .) abalone:1",
    ],
)
def test_an_image_is_built_and_named(docker, line):
    done = docker(f"{line} && docker images abalone:1")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[:2] == ["abalone", "1"]


def test_a_build_says_what_it_does_and_what_it_only_imitates(docker):
    lines = docker("docker build -t abalone .").stdout.splitlines()

    assert lines[0] == "Step 1/4 : FROM python:3.11"
    assert any(line.startswith("note: base image 'python:3.11' is played by this machine") for line in lines)
    assert "Successfully tagged abalone:latest" in lines
    assert lines[-1].startswith("Successfully built ")


def test_build_arguments_come_from_the_line_or_the_environment(docker):
    given = docker("docker build -q --build-arg LEVEL=debug .").stdout
    taken = docker("docker build -q --build-arg LEVEL .", LEVEL="debug").stdout
    default = docker("docker build -q --build-arg LEVEL .").stdout

    assert given == taken
    assert given != default


def test_an_image_tells_its_digest(docker):
    done = docker("docker build -t a . > /dev/null; docker inspect --format='{{.Id}}' a; docker build -q .")

    first, second = done.stdout.split()
    assert first == second
    assert first.startswith("sha256:")


@pytest.mark.parametrize("line", ["docker --version", "docker version", "docker info"])
def test_the_version_costs_no_time(docker, line):
    started = time.monotonic()
    done = docker(line)

    assert "cdk-ml-release" in done.stdout
    assert time.monotonic() - started < 3


def test_login_reads_the_password_and_forgets_it(docker):
    line = f"echo secret | docker login --username AWS --password-stdin {REGISTRY}; docker logout {REGISTRY}"
    done = docker(line)

    assert done.stdout.startswith("Login Succeeded\n")
    assert not docker.store.exists()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("docker run abalone", "docker run: the rehearsal does not know this command; it knows build, "),
        ("docker buildx create", "docker buildx create: the rehearsal does not know this command"),
        ("docker", r"docker (nothing): the rehearsal does not know"),
        ("docker build --squash .", "docker build: the rehearsal does not know this use of it: "),
        ("docker build", "the following arguments are required: context"),
        ("docker build absent", "path 'absent' is not a folder here"),
        ("docker build -f absent .", "no absent in "),
        ("rm Dockerfile; docker build .", "no Dockerfile in "),
        (
            "echo RUN conda install x >> Dockerfile; docker build .",
            "Dockerfile line 5: the rehearsal installs",
        ),
        ("docker tag absent new", "Error: No such image: absent"),
        ("docker push abalone", "the rehearsal pushes to Amazon ECR only, got 'abalone:latest'; name the"),
        (f"docker push {REPOSITORY}:1", f"Error: No such image: {REPOSITORY}:1"),
        ("docker inspect -f '{{.Size}}' a", "Error: No such image: a"),
        ("docker build -t a . ; docker inspect -f '{{.Size}}' a", "got '{{.Size}}'"),
        ("docker build -t a . ; docker inspect -f '{{index .RepoDigests 0}}' a", "a was not pushed"),
        ("docker login --password-stdin < /dev/null", "Error: Password Required"),
        ("unset ML_REHEARSAL_IMAGES; docker images", "ML_REHEARSAL_IMAGES is not set"),
    ],
)
def test_refuses_what_it_does_not_know_in_one_line(docker, line, problem):
    done = docker(line)

    assert done.returncode == 1
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- the registry ---------------------------------------------------------------------------------


def test_a_pushed_image_is_found_by_the_digest_that_the_registry_gave_it(docker, registry):
    client, repository, environment = registry

    done = docker(
        f"docker build -t {repository}:one . && docker push {repository}:one"
        f" && docker inspect --format='{{{{index .RepoDigests 0}}}}' {repository}:one",
        **environment,
    )

    assert done.returncode == 0, done.stderr
    found = client.describe_images(repositoryName="abalone", imageIds=[{"imageTag": "one"}])
    digest = found["imageDetails"][0]["imageDigest"]
    said, inspected = done.stdout.splitlines()[-2:]
    assert said.startswith(f"one: digest: {digest} size: ")
    assert inspected == f"{repository}@{digest}"
    assert find_pushed(docker.store, digest).command == ("serve",)


def test_the_same_image_has_one_digest_under_every_tag(docker, registry):
    _client, repository, environment = registry
    tags = "for tag in one two one"

    done = docker(
        f"{tags}; do docker build -q -t {repository}:$tag . ; docker push {repository}:$tag; done",
        **environment,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Layer already exists") == 2
    assert len({line.split()[2] for line in done.stdout.splitlines() if " digest: " in line}) == 1


def test_a_tag_that_is_taken_by_another_image_is_refused(docker, registry):
    client, repository, environment = registry
    line = f"docker build --build-arg LEVEL=$LEVEL -t {repository}:one . && docker push {repository}:one"

    docker(line, LEVEL="info", **environment)
    done = docker(line, LEVEL="debug", **environment)

    assert done.returncode == 1
    assert done.stderr.startswith("tag invalid: ")
    assert "already exists in the repository with name 'abalone'" in done.stderr
    assert len(client.describe_images(repositoryName="abalone")["imageDetails"]) == 1


def test_a_repository_that_is_not_there_is_refused(docker, registry):
    _client, repository, environment = registry
    reference = f"{repository}-absent:one"

    done = docker(f"docker buildx build --push -t {reference} .", **environment)

    assert done.returncode == 1
    assert done.stderr.startswith("name unknown: The repository with name 'abalone-absent' does not exist")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDeniedException", "denied: not for you\n"),
        ("ExpiredTokenException", "denied: Your authorization token has expired. Reauthenticate and try"),
        ("KmsException", "error from registry: KmsException: not for you\n"),
    ],
)
def test_a_refusal_of_the_registry_reads_as_docker_s(docker, code, said):
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self):
            calls.append(self.headers["X-Amz-Target"].partition(".")[2])
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"__type": code, "message": "not for you"}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    calls = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        done = docker(
            f"docker build -t {REPOSITORY}:1 . && docker push {REPOSITORY}:1",
            AWS_ENDPOINT_URL=endpoint, NO_PROXY="127.0.0.1", **CREDENTIALS,
        )  # fmt: skip
        server.shutdown()
        thread.join()

    assert calls == ["BatchCheckLayerAvailability"]
    assert done.returncode == 1
    assert done.stderr.startswith(said)


def test_fails_without_credentials(docker):
    done = docker(
        f"docker build -t {REPOSITORY}:1 . && docker push {REPOSITORY}:1",
        AWS_EC2_METADATA_DISABLED="true", AWS_ENDPOINT_URL="http://127.0.0.1:9", HOME=os.devnull,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith("no basic auth credentials: ")
