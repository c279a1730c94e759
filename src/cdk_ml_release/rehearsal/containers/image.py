"""Image: what building a Dockerfile leaves behind, and the store that keeps it."""

from __future__ import annotations

import hashlib
import json
import posixpath
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .dockerfile import Dockerfile, DockerfileError, parse_dockerfile
from .image_files import FileTree
from .image_python import PipCall, PythonEnvironment, locked
from .image_stage import StagePlayer

__all__ = ["DockerfileError", "Image", "build_image", "find_pushed", "load_image", "record_push"]

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a build leaves behind: files, a Python environment and how to start.

    ``digest`` identifies instructions, build arguments and copied files. ``root`` plays the container's
    file system: the file ``/opt/program/serve`` of the container is ``root/opt/program/serve``. ``python``
    is the folder of the virtual environment that plays the container's Python. ``environment`` holds
    container paths as written. ``notes`` say what was only imitated, one sentence each.
    """

    digest: str
    root: Path
    python: Path
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    workdir: str
    notes: tuple[str, ...]


def build_image(
    context: Path,
    *,
    dockerfile: Path | None = None,
    store: Path,
    cache: Path,
    build_args: Mapping[str, str] | None = None,
    progress: Progress = lambda line: None,
) -> Image:
    """Build what a Dockerfile describes, as far as a rehearsal needs it.

    Files are copied for real, and ``pip`` lines install for real, into a virtual environment of the
    running Python. All else of RUN is skipped with a note.

    Args:
        context: The folder that COPY takes files from.
        dockerfile: The Dockerfile.
            Default: the one in ``context``.
        store: The folder that holds all images.
        cache: The folder that holds the virtual environments. One with the same packages is used again.
        build_args: Values for ARG instructions, by name.
        progress: Told of each step, and of each line that pip says.

    Raises:
        DockerfileError: if there is no Dockerfile, it holds what the rehearsal does not know, or one of its
            instructions fails.
    """
    build = _Build(context, dockerfile, store.absolute(), cache.absolute(), dict(build_args or {}), progress)
    return build.run()


class _Build:
    """One build. The instructions are played twice if packages have to be installed.

    The first time finds out what the image holds, and so which environment it needs; the second time
    installs, each pip line among the files that it sees in a real build.
    """

    def __init__(
        self,
        context: Path,
        dockerfile: Path | None,
        store: Path,
        cache: Path,
        build_args: Mapping[str, str],
        progress: Progress,
    ) -> None:
        file = dockerfile or context / "Dockerfile"
        if not file.is_file():
            raise DockerfileError(
                f"no {file.name} in {file.parent}: a rehearsal builds the model's image from it; "
                "add one, or name another file with -f"
            )
        text = file.read_text(encoding="utf-8-sig")
        self._dockerfile: Dockerfile = parse_dockerfile(text, build_args, source=file.name)
        beside = file.with_name(f"{file.name}.dockerignore")
        ignore = beside if beside.is_file() else context / ".dockerignore"
        self._context = FileTree(context.absolute(), ignore if ignore.is_file() else None)
        self._store, self._cache = store, cache
        self._build_args, self._progress = build_args, progress
        self._notes: dict[str, None] = {}  # a set that keeps the order
        for name in sorted(build_args.keys() - self._dockerfile.declared()):
            self._notes[f"build argument {name!r} is used by no ARG"] = None

    def run(self) -> Image:
        scratch = self._store / f"building-{uuid.uuid4().hex}"
        count = sum(len(stage.instructions) + 1 for stage in self._dockerfile.needed())
        steps = iter(range(1, count + 1))
        keys: dict[int, list[str]] = {}
        editable: list[bool] = []

        def record(stage: int, call: PipCall) -> None:
            keys.setdefault(stage, []).append(call.key.replace(str(scratch), ""))
            editable.append(str(scratch) in call.key)

        try:
            players = self._play(scratch, record, lambda text: self._progress(f"Step {next(steps)}/{count} : {text}"))
            digest = self._digest(players)
            packages = list(dict.fromkeys(players[-1].packages))
            names = [key for stage in packages for key in keys.get(stage, [])]
            # an editable package stays in the folder of its image, so no other image has the same environment
            names += [str(self._store), digest] if any(editable) else []
            python = PythonEnvironment(self._cache, names)
            return self._finish(scratch, digest, players[-1], python, packages)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _finish(
        self, scratch: Path, digest: str, last: StagePlayer, python: PythonEnvironment, packages: list[int]
    ) -> Image:
        home = _home(self._store, digest)
        with locked(home.with_suffix(".lock")):
            if python.is_complete and (image := _read(home, digest)) and image.python == python.folder:
                return image

            def install(stage: int, call: PipCall) -> None:
                if stage in packages:
                    python.run(call, self._progress)

            shutil.rmtree(home, ignore_errors=True)
            with python.to_make() as has_to_be_filled:
                if has_to_be_filled:
                    # in the final place, since an editable package remembers where it was installed
                    last = self._play(home, install, lambda _: None)[-1]
                else:
                    scratch.rename(home)
            shutil.rmtree(home / "stages", ignore_errors=True)
            return _write(home, digest, last, python.folder, tuple(self._notes))

    def _play(self, home: Path, install: Callable[[int, PipCall], None], step: Progress) -> list[StagePlayer]:
        stages = self._dockerfile.needed()
        played: dict[int, StagePlayer] = {}
        for stage in stages:
            step(f"FROM {stage.base}")
            player = StagePlayer(
                stage,
                dockerfile=self._dockerfile,
                context=self._context,
                root=home / "root" if stage is stages[-1] else home / "stages" / str(stage.index),
                build_args=self._build_args,
                earlier=played,
                install=install,
                note=lambda text: self._notes.setdefault(text),
            )
            player.play(lambda instruction: step(" ".join(str(instruction).split())))
            played[stage.index] = player
        return list(played.values())

    def _digest(self, players: list[StagePlayer]) -> str:
        parts = [
            [[stage.base, *map(str, stage.instructions)] for stage in self._dockerfile.needed()],
            sorted(self._build_args.items()),
            [player.files for player in players],
        ]
        return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load_image(store: Path, digest: str) -> Image:
    """Find an image by its digest.

    Raises:
        LookupError: if the store has no such image.
    """
    image = _read(_home(store.absolute(), digest), digest)
    if image is None:
        raise LookupError(f"no image {digest} was built in this rehearsal")
    return image


def record_push(store: Path, registry_digest: str, image_digest: str) -> None:
    """Remember which image a registry knows under ``registry_digest``."""
    folder = store / "pushed"
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(folder / registry_digest.replace(":", "-"), image_digest)


def find_pushed(store: Path, registry_digest: str) -> Image:
    """Find an image by the digest that the registry gave it.

    Raises:
        LookupError: if no image was pushed under that digest.
    """
    record = store / "pushed" / registry_digest.replace(":", "-")
    if not record.is_file():
        raise LookupError(f"no image {registry_digest} was pushed in this rehearsal")
    return load_image(store, record.read_text())


def _home(store: Path, digest: str) -> Path:
    return store / posixpath.basename(digest.replace(":", "-"))


def _write(home: Path, digest: str, last: StagePlayer, python: Path, notes: tuple[str, ...]) -> Image:
    settings = last.settings
    image = Image(
        digest=digest, root=home / "root", python=python, environment=dict(settings.environment),
        entrypoint=settings.entrypoint, command=settings.command, workdir=settings.workdir, notes=notes,
    )  # fmt: skip
    # written last: a folder without it is an interrupted build
    _write_text(home / "image.json", json.dumps(asdict(image), default=str))
    return image


def _read(home: Path, digest: str) -> Image | None:
    file = home / "image.json"
    if not file.is_file():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    return Image(
        digest=digest,
        root=home / "root",
        python=Path(record["python"]),
        environment=record["environment"],
        entrypoint=tuple(record["entrypoint"]),
        command=tuple(record["command"]),
        workdir=record["workdir"],
        notes=tuple(record["notes"]),
    )


def _write_text(path: Path, text: str) -> None:
    # several builds run at once: a reader sees the old record or the new one
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
