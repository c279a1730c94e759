"""Image run: what the rehearsal does with the RUN lines of a Dockerfile."""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .image_files import host_path
from .image_pip import pip_arguments
from .shell_words import Operator

__all__ = ["RunLine"]

_KEYWORDS = ("case", "for", "if", "until", "while", "{")
# they decide what Python finds in the container, and no pip line tells it
_INSTALLERS = (
    *("conda", "easy_install", "mamba", "micromamba", "pdm"),
    *("pipenv", "pipx", "pixi", "poetry", "rye", "uv"),
)
_WITHOUT_EFFECT = (":", "echo", "export", "set", "sync", "true", "umask")
# for each file command: how many words before its files, and whether its last word may be new
_FILE_COMMANDS = {"chmod": (1, False), "cp": (0, True), "ln": (0, True), "mkdir": (0, True)}
_FILE_COMMANDS |= {"mv": (0, True), "rm": (0, False), "touch": (0, True)}

Pip = Callable[[list[str], str, dict[str, str]], None]


@dataclass(kw_only=True)
class RunLine:
    """One RUN line: pip commands are run, file commands touch the image's own files, others are noted.

    ``pip`` gets a command's arguments, the container's folder, and its own variables.
    """

    root: Path
    workdir: str
    pip: Pip
    note: Callable[[str], None]

    def play(self, words: Sequence[str]) -> None:
        """Play the line.

        Raises:
            ValueError: if the line matters for Python and the rehearsal cannot play it.
        """
        operators = {word for word in words if isinstance(word, Operator)}
        if not operators <= {"&&", ";"} or any(command[0] in _KEYWORDS for command in _commands(words)):
            self._refuse_or_note(words)
            return
        for command in _commands(words):
            self._play_command(command)

    def _refuse_or_note(self, words: Sequence[str]) -> None:
        line = " ".join(words)
        for word in words:
            if _is_installer(word) or re.fullmatch(r"pip[\d.]*", posixpath.basename(word)):
                raise ValueError(
                    f"the rehearsal cannot follow a RUN line with pipes, redirections, || or blocks around "
                    f"{word!r}; give pip a RUN line of its own and quote version ranges ('numpy>=2')"
                )
        self.note(f"{_short(line)!r} was skipped: a rehearsal runs pip and plain file commands only")

    def _play_command(self, command: list[str]) -> None:
        own: dict[str, str] = {}
        while command and re.match(r"\w+=", command[0]):
            name, _, own[name] = command.pop(0).partition("=")
        while command and command[0] in ("command", "exec", "sudo"):
            command.pop(0)
        if not command or command[0] in _WITHOUT_EFFECT:
            return
        name, line = posixpath.basename(command[0]), " ".join(command)
        arguments = pip_arguments(command)
        if arguments is not None:
            self._run_pip(arguments, line, own)
        elif _is_installer(name) or (name.startswith("python") and "setup.py" in command):
            raise ValueError(
                f"the rehearsal installs packages with pip only, got {_short(line)!r}; "
                "use pip install, with a requirements file exported from the other tool"
            )
        elif name == "cd":
            self.workdir = posixpath.normpath(posixpath.join(self.workdir, *command[1:2]))
        elif not (name in _FILE_COMMANDS and self._touch_files(name, command[1:])):
            self.note(f"{_short(line)!r} was skipped: a rehearsal runs pip and plain file commands only")

    def _run_pip(self, arguments: list[str], line: str, own: dict[str, str]) -> None:
        if any("$(" in word or "`" in word for word in arguments):
            raise ValueError(f"the rehearsal does not run commands inside {line!r}; write their result")
        if arguments:
            self.pip(arguments, self.workdir, own)

    def _touch_files(self, name: str, words: list[str]) -> bool:
        """Run a file command on the image's own files; False if it means files of the base image."""
        skip, may_be_new = _FILE_COMMANDS[name]
        flags = [word for word in words if re.match(r"-[A-Za-z-]", word)]
        plain = [word for word in words if word not in flags]
        files = [path for word in plain[skip:] for path in self._expand(word)]
        if name == "ln":
            return self._link(flags, files)
        old = files if not may_be_new else files[:-1] if name in ("cp", "mv") else []
        found = [path for path in old if self._is_own(path)]
        if name == "rm" and not found:
            return True  # what the base image had is not here either
        if not files or (name != "rm" and len(found) < len(old)):
            return False
        if may_be_new:
            files[-1].parent.mkdir(parents=True, exist_ok=True)  # the base image may have had it
        flags += ["-p"] if name == "mkdir" else []
        command = [name, *flags, *plain[:skip], "--", *map(str, found if name == "rm" else files)]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = done.stderr.strip().replace(str(self.root), "").partition("\n")[0]
            raise ValueError(f"{' '.join([name, *words])!r} exits with {done.returncode}: {said}")
        return True

    def _is_own(self, path: Path) -> bool:
        # a symbolic link may point at a file of this machine, which is not for a Dockerfile to change
        return path != self.root and path.exists() and path.resolve().is_relative_to(self.root.resolve())

    def _link(self, flags: list[str], files: list[Path]) -> bool:
        if len(files) != 2 or not any("s" in flag for flag in flags) or not files[0].exists():
            return False
        target, link = files
        link = link / target.name if link.is_dir() else link
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        # relative, so that it means the image's file and not this machine's
        steps = posixpath.relpath(target, link.parent)
        link.symlink_to(steps)
        return True

    def _expand(self, word: str) -> list[Path]:
        path = host_path(self.root, posixpath.join(self.workdir, word))
        if not re.search(r"[*?]", word):
            return [path]
        return sorted(self.root.glob(str(path.relative_to(self.root)))) or [path]


def _commands(words: Sequence[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in [*words, Operator(";")]:
        if not isinstance(word, Operator):
            command.append(word)
        elif command:
            yield command
            command = []


def _is_installer(name: str) -> bool:
    return posixpath.basename(name) in _INSTALLERS


def _short(line: str) -> str:
    return line if len(line) <= 60 else line[:57] + "..."
