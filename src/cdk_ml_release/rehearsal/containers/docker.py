"""docker: what a rehearsed build's shell finds as the ``docker`` command."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from .docker_references import DockerError, References, with_tag

# building and pushing are imported on use: a shell script may ask for the version many times
__all__ = ["CACHE_VARIABLE", "STORE_VARIABLE", "install", "main"]

STORE_VARIABLE = "ML_REHEARSAL_IMAGES"
CACHE_VARIABLE = "ML_REHEARSAL_CACHE"

_VERSION = "Docker version 0.0.0-rehearsal, played by cdk-ml-release"


def install(bin_dir: Path, python: Sequence[str] = (sys.executable,)) -> None:
    """Write an executable ``docker`` into a folder that a rehearsed shell has on its PATH.

    Args:
        bin_dir: The folder.
        python: What to call for Python.
    """
    source_root = str(Path(__file__).parents[3])
    module = f"{__package__}.docker"
    program = (
        f"import runpy, sys; sys.path.insert(0, {source_root!r}); runpy.run_module({module!r}, None, '__main__', True)"
    )
    script = bin_dir / "docker"
    bin_dir.mkdir(parents=True, exist_ok=True)
    # -P: a model's folder may hold a file such as types.py, which must not hide the standard library's
    script.write_text(f'#!/bin/sh\nexec {shlex.join([*python, "-P", "-c", program])} "$@"\n')
    script.chmod(0o755)


def main(arguments: Sequence[str]) -> int:
    """Do what one ``docker`` command line asks, and return its exit status."""
    words = list(arguments)
    if words[:1] == ["image"] or words[:2] == ["buildx", "build"]:
        words = words[1:]
    name = " ".join(words[: 2 if words[:1] == ["buildx"] else 1])
    try:
        if name not in _COMMANDS:
            known = ", ".join(sorted(key for key in _COMMANDS if key[0].isalpha()))
            raise DockerError(
                f"docker {name or '(nothing)'}: the rehearsal does not know this command; it knows {known}"
            )
        _COMMANDS[name](words[1:])
    except DockerError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    def __init__(self, name: str) -> None:
        super().__init__(prog=f"docker {name}", add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise DockerError(f"{self.prog}: the rehearsal does not know this use of it: {message}")


def _folder(variable: str) -> Path:
    if not (value := os.environ.get(variable)):
        raise DockerError(f"{variable} is not set: this docker works only inside a rehearsal")
    return Path(value).absolute()


def _build_options(words: list[str]) -> argparse.Namespace:
    parser = _Parser("build")
    parser.add_argument("-t", "--tag", action="append", default=[])
    parser.add_argument("-f", "--file", type=Path)
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--iidfile", type=Path)
    parser.add_argument("--push", action="store_true")
    # they decide how Docker works, not what the image holds
    for flag in ("--load", "--no-cache", "--pull", "--rm", "--force-rm"):
        parser.add_argument(flag, action="store_true")
    for flag in ("--platform", "--progress", "--provenance", "--sbom", "--cache-from", "--cache-to"):
        parser.add_argument(flag, action="append")
    parser.add_argument("context")
    return parser.parse_args(words)


def _build(words: list[str]) -> None:
    options = _build_options(words)

    from .image import DockerfileError, build_image

    context = Path(options.context)
    if not context.is_dir():
        raise DockerError(f"unable to prepare context: path {options.context!r} is not a folder here")
    say = _ignore if options.quiet else _print
    store, cache = _folder(STORE_VARIABLE), _folder(CACHE_VARIABLE)
    try:
        image = build_image(
            context if options.context != "." else Path.cwd(),  # a message that says "." helps nobody
            dockerfile=options.file,
            store=store,
            cache=cache,
            build_args=_build_args(options.build_arg),
            progress=say,
        )
    except DockerfileError as error:
        raise DockerError(str(error)) from error
    for note in image.notes:
        say(f"note: {note}")
    references = References(store)
    references.set(f"<none>@{image.digest}", image.digest)
    for tag in options.tag:
        references.set(tag, image.digest)
        say(f"Successfully tagged {with_tag(tag)}")
    if options.iidfile:
        options.iidfile.write_text(image.digest)
    print(image.digest if options.quiet else f"Successfully built {image.digest[7:19]}", flush=True)
    for tag in options.tag if options.push else []:
        _push([tag])


def _build_args(given: Sequence[str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in given)
    # Docker takes a bare name from its own environment, and ignores it if it is not there
    return {
        name: value if equals else os.environ[name] for name, equals, value in pairs if equals or name in os.environ
    }


def _print(line: str) -> None:
    print(line, flush=True)


def _ignore(line: str) -> None:
    pass


def _tag(words: list[str]) -> None:
    parser = _Parser("tag")
    parser.add_argument("source")
    parser.add_argument("target")
    options = parser.parse_args(words)
    references = References(_folder(STORE_VARIABLE))
    references.set(options.target, references.find(options.source))


def _push(words: list[str]) -> None:
    parser = _Parser("push")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("reference")
    options = parser.parse_args(words)

    from .docker_push import push

    store = _folder(STORE_VARIABLE)
    references = References(store)
    reference = with_tag(options.reference)
    push(store, reference, references, _ignore if options.quiet else _print)


def _login(words: list[str]) -> None:
    parser = _Parser("login")
    parser.add_argument("-u", "--username")
    parser.add_argument("-p", "--password")
    parser.add_argument("--password-stdin", action="store_true")
    parser.add_argument("registry", nargs="?")
    if parser.parse_args(words).password_stdin and not sys.stdin.read().strip():
        # the command before the pipe has failed
        raise DockerError("Error: Password Required")
    print("Login Succeeded")


def _logout(words: list[str]) -> None:
    print(f"Removing login credentials for {words[-1] if words else 'the default registry'}")


def _images(words: list[str]) -> None:
    parser = _Parser("images")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("repository", nargs="?")
    options = parser.parse_args(words)
    rows = [] if options.quiet else [("REPOSITORY", "TAG", "IMAGE ID")]
    for reference, digest in References(_folder(STORE_VARIABLE)):
        repository, _, tag = reference.rpartition(":")
        if "@" not in reference and options.repository in (None, repository, reference):
            rows.append((repository, tag, digest[7:19]))
    width = max((len(row[0]) for row in rows), default=0) + 3
    for row in rows:
        print(row[2] if options.quiet else f"{row[0]:<{width}}{row[1]:<44}{row[2]}")


def _inspect(words: list[str]) -> None:
    parser = _Parser("inspect")
    parser.add_argument("-f", "--format", required=True)
    parser.add_argument("reference")
    options = parser.parse_args(words)
    references = References(_folder(STORE_VARIABLE))
    digest = references.find(options.reference)
    pushed = [name for name, image in references if image == digest and "@" in name and "<none>" not in name]
    answers = {"{{.Id}}": digest, "{{index.RepoDigests0}}": pushed[0] if pushed else ""}
    answer = answers.get(options.format.replace(" ", ""))
    if answer is None:
        raise DockerError(
            "docker inspect: the rehearsal knows --format '{{.Id}}' and '{{index .RepoDigests 0}}', "
            f"got {options.format!r}"
        )
    if not answer:
        raise DockerError(f"docker inspect: {options.reference} was not pushed, so it has no RepoDigests")
    print(answer)


def _version(words: list[str]) -> None:
    print(_VERSION)


_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "--version": _version, "-v": _version, "build": _build, "images": _images, "info": _version,
    "inspect": _inspect, "login": _login, "logout": _logout, "ls": _images, "push": _push, "tag": _tag,
    "version": _version,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
