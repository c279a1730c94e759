"""Image pip: a pip command of a Dockerfile, prepared for this machine."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .dockerfile import Instruction
from .image_files import digest_of, host_path
from .image_python import PipCall

__all__ = ["pip_arguments", "prepare_pip"]

_RUN = ("check", "install", "uninstall")
_NO_EFFECT = ("cache", "debug", "freeze", "help", "inspect", "list", "show")
_FILE_OPTIONS = {"-c": "--constraint", "-e": "--editable", "-f": "--find-links", "-r": "--requirement"}
_REQUIREMENTS = ("-c", "--constraint", "-r", "--requirement")
# where packages go; here they all go to the one environment
_PLACE_OPTIONS = ("--prefix", "--root", "--target", "-t")
_PLACE_FLAGS = ("--break-system-packages", "--system", "--user")
# keeps a download out of an image layer; on this machine pip's cache is no part of the image, and saves the download
_LAYER_FLAGS = ("--no-cache-dir",)
_UV_SPELLINGS = {"--compile-bytecode": "--compile", "--no-cache": "--no-cache-dir"}


def pip_arguments(words: Sequence[str]) -> list[str] | None:
    """What a command asks of pip, empty for what has no effect on an image; None if it is not pip.

    ``pip3 install x``, ``python -m pip install x`` and ``uv pip install x`` all give ``install x``.

    Raises:
        ValueError: if the pip command is one that the rehearsal does not run.
    """
    name = posixpath.basename(words[0])
    if re.fullmatch(r"pip[\d.]*", name):
        rest = list(words[1:])
    elif re.fullmatch(r"python[\d.]*", name) and list(words[1:3]) == ["-m", "pip"]:
        rest = list(words[3:])
    elif name == "uv" and words[1:2] == ["pip"]:
        rest = [_UV_SPELLINGS.get(word, word) for word in words[2:]]
    else:
        return None
    if any(word in _RUN for word in rest):
        return rest
    if all(word.startswith("-") for word in rest) or any(word in _NO_EFFECT for word in rest):
        return []
    raise ValueError(f"the rehearsal does not run {' '.join(words)!r}; it knows pip {', '.join(_RUN)}")


def prepare_pip(
    arguments: Sequence[str],
    *,
    instruction: Instruction,
    root: Path,
    workdir: str,
    environment: Mapping[str, str],
    note: Callable[[str], None],
) -> PipCall:
    """Map the files that a pip command names to this machine, and find what identifies its outcome.

    Args:
        arguments: The command without ``pip``, its variables replaced.
        instruction: Where it stands, for messages.
        root: The folder that plays the container's file system.
        workdir: The folder of the container where the command runs.
        environment: The variables that the command sees.
        note: Told what is only imitated.

    Raises:
        ValueError: if a requirements file is not in the image.
    """
    written = "pip " + shlex.join(arguments)
    words = _without_places(arguments, written, note)
    folder = host_path(root, workdir)
    folder.mkdir(parents=True, exist_ok=True)
    on_host = [mapped for word in words for mapped in _map(word, root, folder)]
    for option, value in _file_options(on_host):
        if option in _REQUIREMENTS and "://" not in value and not (folder / value).is_file():
            wanted = posixpath.normpath(posixpath.join(workdir, value.replace(str(root), "", 1)))
            raise ValueError(f"{written!r} needs {wanted!r}, which is not in the image; COPY it first")
    files = {_name(path, root): digest_of(path) for path in _references(on_host, folder, folder)}
    settings = {k: v for k, v in environment.items() if k.startswith("PIP_")}
    # an editable package stays in this image's folder, so no other image can use the environment
    place = str(root) if any(option == "--editable" for option, _ in _file_options(on_host)) else ""
    return PipCall(
        instruction=instruction,
        written=written,
        words=tuple(on_host),
        root=root,
        folder=folder,
        environment=dict(environment),
        key=json.dumps([words, workdir, files, settings, place], sort_keys=True),
    )


def _without_places(words: Sequence[str], written: str, note: Callable[[str], None]) -> list[str]:
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        option, _, value = word.partition("=")
        if option in _PLACE_OPTIONS:
            place = value or next(rest, "")
            note(f"{written!r} installs into the one Python environment, not into {place}")
        elif word not in (*_PLACE_FLAGS, *_LAYER_FLAGS):
            kept.append(word)
    return kept


def _map(word: str, root: Path, folder: Path) -> list[str]:
    # a path of the container can follow an option (-r/a, --requirement=/a) or a scheme (x @ file:///a)
    match = re.fullmatch(r"(|-[cefr]|--[a-z-]+=|.*file://)(/.*)", word)
    mapped = match[1] + str(host_path(root, match[2])) if match else word
    if word.startswith("-") or not re.search(r"[*?]", word) or "=" in word:
        return [mapped]
    pattern = Path(mapped)
    start, relative = (root, pattern.relative_to(root)) if pattern.is_absolute() else (folder, pattern)
    found = sorted(str(path) for path in start.glob(str(relative)))
    return found or [mapped]


def _file_options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        short, long = word[:2], word.partition("=")[0]
        if short in _FILE_OPTIONS and not word.startswith("--"):
            yield _FILE_OPTIONS[short], word[2:] or next(rest, "")
        elif long in _FILE_OPTIONS.values():
            yield long, word.partition("=")[2] or next(rest, "")


def _references(words: Sequence[str], folder: Path, beside: Path) -> Iterator[Path]:
    """The files and folders that words name; ``beside`` is where a requirements file looks for others."""
    for option, value in _file_options(words):
        path = beside / value
        if option in ("--constraint", "--requirement") and path.is_file():
            yield path
            for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
                yield from _references(_requirement_words(line), folder, path.parent)
    for word in words:
        name = word.rpartition("file://")[2].partition("[")[0]
        if re.search(r"[./]", name) and (path := folder / name).exists():
            yield path


def _requirement_words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # pip reads quotes in its own way; a file name needs none
        return line.split()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
