"""Image stage: the instructions of one FROM, played in order."""

from __future__ import annotations

import platform
import posixpath
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .dockerfile import Dockerfile, Instruction, Stage
from .image_files import FileTree, copy_files, digest_of, host_path
from .image_pip import prepare_pip
from .image_python import PipCall
from .image_run import RunLine
from .shell_words import split_words

__all__ = ["Settings", "StagePlayer"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a stage leaves the container: what a later FROM takes over."""

    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": DEFAULT_PATH})
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    workdir: str = "/"
    shell: tuple[str, ...] = ("/bin/sh", "-c")


class StagePlayer:
    """Plays one stage into a folder.

    ``settings`` is how the stage leaves the container, ``files`` what identifies the copied files,
    ``packages`` the numbers of the stages whose pip commands make up this one's Python.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        dockerfile: Dockerfile,
        context: FileTree,
        root: Path,
        build_args: Mapping[str, str],
        earlier: Mapping[int, StagePlayer],
        install: Callable[[int, PipCall], None],
        note: Callable[[str], None],
    ) -> None:
        """Prepare a stage.

        Args:
            stage: What to play.
            dockerfile: The file that it belongs to.
            context: The files that COPY may take.
            root: The folder that plays the container's file system.
            build_args: Values for ARG instructions.
            earlier: The stages already played, by number.
            install: Does a pip command of the stage with this number.
            note: Told what is only imitated.
        """
        self.root = root
        self.files: list[tuple[str, str]] = []
        self.packages = [stage.index]
        self.settings = Settings()
        self.has_pip = False
        self._stage, self._dockerfile, self._context = stage, dockerfile, context
        self._build_args, self._earlier, self._note = build_args, earlier, note
        self._install = install
        self._arguments: dict[str, str] = {}
        self._own_command = False

    def play(self, progress: Callable[[Instruction], None]) -> None:
        """Play the whole stage.

        Raises:
            DockerfileError: if an instruction cannot be played.
        """
        self._begin()
        players = {
            "ADD": self._copy, "ARG": self._arg, "CMD": self._cmd, "COPY": self._copy,
            "ENTRYPOINT": self._entrypoint, "ENV": self._env, "RUN": self._run, "SHELL": self._shell,
            "STOPSIGNAL": self._only_noted, "USER": self._only_noted,
            "VOLUME": self._volume, "WORKDIR": self._workdir,
        }  # fmt: skip
        for instruction in self._stage.instructions:
            progress(instruction)
            try:
                players.get(instruction.name, lambda _: None)(instruction)
            except (OSError, ValueError) as error:
                raise instruction.refusal(str(error)) from error

    @property
    def _variables(self) -> dict[str, str]:
        return self._arguments | dict(self.settings.environment)

    def _begin(self) -> None:
        base = self._stage.base
        before = self._dockerfile.find(base, before=self._stage)
        if before is None:
            self.root.mkdir(parents=True)
            self._note_base(base)
            return
        parent = self._earlier[before.index]
        shutil.copytree(parent.root, self.root, symlinks=True)
        self.settings, self.has_pip = parent.settings, parent.has_pip
        self.packages = [*parent.packages, *self.packages]

    def _note_base(self, base: str) -> None:
        ours = platform.python_version_tuple()[:2]
        text = f"base image {base!r} is played by this machine and its Python {'.'.join(ours)}"
        official = re.fullmatch(r"(?:.*/)?python:(\d+)(?:\.(\d+))?(?:[.-].*)?", base)
        if official and (official[1], official[2] or ours[1]) != ours:
            text += f" instead of {'.'.join(filter(None, official.groups()))}"
        self._note(text if official else f"{text}; what else it brings is not there")

    def _arg(self, instruction: Instruction) -> None:
        for word in instruction.words(self._variables):
            name, has_default, default = word.partition("=")
            outer = self._dockerfile.arguments.get(name)
            if name in self._build_args:
                self._arguments[name] = self._build_args[name]
            elif has_default or outer is not None:
                self._arguments[name] = default if has_default else str(outer)

    def _env(self, instruction: Instruction) -> None:
        variables = self._variables
        first, *rest = instruction.text.split(None, 1)
        if "=" not in first:  # the old form: ENV NAME the rest of the line
            if not rest:
                raise ValueError(f"ENV {first} has no value; write ENV {first}=value")
            pairs = [(first, " ".join(split_words(rest[0], variables)))]
        else:
            words = instruction.words(variables)
            pairs = [(name, value) for name, _, value in (word.partition("=") for word in words)]
        self._set(environment={**self.settings.environment, **dict(pairs)})

    def _workdir(self, instruction: Instruction) -> None:
        folder = " ".join(instruction.words(self._variables))
        workdir = posixpath.normpath(posixpath.join(self.settings.workdir, folder))
        host_path(self.root, workdir).mkdir(parents=True, exist_ok=True)
        self._set(workdir=workdir)

    def _volume(self, instruction: Instruction) -> None:
        for folder in instruction.exec_form or instruction.words(self._variables):
            host_path(self.root, folder).mkdir(parents=True, exist_ok=True)

    def _shell(self, instruction: Instruction) -> None:
        if not instruction.exec_form:
            raise ValueError(f'SHELL takes a JSON array such as ["/bin/sh", "-c"], got {instruction.text}')
        self._set(shell=instruction.exec_form)

    def _entrypoint(self, instruction: Instruction) -> None:
        # a CMD that the stage took over was meant for the entry point that it had
        command = self.settings.command if self._own_command else ()
        self._set(entrypoint=self._program(instruction), command=command)

    def _cmd(self, instruction: Instruction) -> None:
        self._own_command = True
        self._set(command=self._program(instruction))

    def _program(self, instruction: Instruction) -> tuple[str, ...]:
        words = instruction.exec_form
        return (*self.settings.shell, instruction.text) if words is None else words

    def _only_noted(self, instruction: Instruction) -> None:
        if instruction.text not in ("root", "0", "SIGTERM"):
            self._note(f"'{instruction}' was skipped: a rehearsed container runs as you; SIGTERM stops it")

    def _set(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]

    def _copy(self, instruction: Instruction) -> None:
        words = list(instruction.exec_form or instruction.words(self._variables))
        if len(words) < 2:
            raise ValueError(f"{instruction.name} takes a source and a destination, got {instruction.text!r}")
        *sources, destination = words
        if instruction.name == "ADD" and any(re.match(r"\w+://|git@", source) for source in sources):
            raise ValueError("the rehearsal does not fetch what ADD names by URL; COPY a local file")
        tree = self._context
        if reference := instruction.flag("from"):
            found = self._earlier_stage(reference, sources)
            sources = self._without_packages(found, sources) if found else []
            tree = FileTree(found.root) if found else tree
        if sources:
            self._copy_from(tree, sources, destination, instruction)

    def _copy_from(self, tree: FileTree, sources: Sequence[str], destination: str, instruction: Instruction) -> None:
        mode = instruction.flag("chmod")
        if mode and not re.fullmatch(r"[0-7]{3,4}", mode):
            raise ValueError(f"--chmod must be an octal number such as 755, got {mode!r}")

        def copied(target: str, path: Path) -> None:
            if mode and not path.is_symlink():
                path.chmod(int(mode, 8))
            self.files.append((target, digest_of(path)))

        joined = posixpath.join(self.settings.workdir, destination)
        is_folder = destination.endswith(("/", "/.")) or destination == "."
        normal = posixpath.normpath(joined) + ("/" if is_folder else "")
        unpack = instruction.name == "ADD"
        copy_files(tree, sources, normal, root=self.root, unpack=unpack, copied=copied)

    def _earlier_stage(self, reference: str, sources: Sequence[str]) -> StagePlayer | None:
        stage = self._dockerfile.find(reference, before=self._stage)
        if stage:
            return self._earlier[stage.index]
        if all(posixpath.basename(source) in ("uv", "uvx") for source in sources):
            self._note(f"'COPY --from={reference}' was skipped: pip plays uv")
            return None
        raise ValueError(
            f"--from={reference} is no earlier stage; the rehearsal does not fetch images, COPY local files"
        )

    def _without_packages(self, stage: StagePlayer, sources: Sequence[str]) -> list[str]:
        """The sources that are files; the others are folders of packages, which pip put elsewhere here."""
        files = []
        for source in sources:
            path = host_path(stage.root, source)
            is_bare = not path.exists() or (path.is_dir() and not any(path.iterdir()))
            if is_bare and stage.has_pip:
                self._note(f"the packages of an earlier stage are taken for its {source}")
                self.packages = [*stage.packages, *self.packages]
                self.has_pip = True
            else:
                files.append(source)
        return files

    def _run(self, instruction: Instruction) -> None:
        bound = self._bind_mounts(instruction)

        def pip(arguments: list[str], workdir: str, own: dict[str, str]) -> None:
            self.has_pip = True
            call = prepare_pip(
                arguments, instruction=instruction, root=self.root, workdir=workdir,
                environment=self._variables | own, note=self._note,
            )  # fmt: skip
            self._install(self._stage.index, call)

        line = RunLine(root=self.root, workdir=self.settings.workdir, pip=pip, note=self._note)
        words = instruction.exec_form or split_words(instruction.text, self._variables, shell=True)
        line.play(words)
        for path in bound:
            path.unlink()

    def _bind_mounts(self, instruction: Instruction) -> list[Path]:
        """Put the files that ``RUN --mount=type=bind`` shows into place; they leave after the line."""
        bound: list[Path] = []
        for name, value in instruction.flags:
            options = dict(part.partition("=")[::2] for part in value.split(","))
            if name != "mount" or options.get("type", "bind") != "bind":
                continue
            source = options.get("source", options.get("src", ""))
            target = options.get("target", options.get("dst", ""))
            path = host_path(self.root, posixpath.join(self.settings.workdir, target))
            if options.get("from") or path.exists() or not (self._context.folder / source).is_file():
                raise ValueError(f"the rehearsal binds single files of the build context only, got {value!r}")
            self._copy_from(self._context, [source], target, replace(instruction, flags=()))
            bound.append(path)
        return bound
