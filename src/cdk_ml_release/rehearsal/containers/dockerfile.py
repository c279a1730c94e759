"""Dockerfile: its instructions, read as Docker reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .shell_words import expand, split_words

__all__ = ["Dockerfile", "DockerfileError", "Instruction", "Stage", "parse_dockerfile"]

# the flags that each instruction takes; all else about an instruction is for the one who plays it
_FLAGS: dict[str, tuple[str, ...]] = {
    **{name: () for name in ("ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "MAINTAINER")},
    **{name: () for name in ("SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")},
    "ADD": ("chmod", "chown", "link"),
    "COPY": ("chmod", "chown", "from", "link"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "retries", "start-interval", "start-period", "timeout"),
    "RUN": ("mount", "network", "security"),
}
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)", re.IGNORECASE)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?(?:\s+|$)")
_HERE_DOCUMENT = re.compile(r"<<-?\s*[\"']?\w")


class DockerfileError(Exception):
    """The image cannot be built as its Dockerfile says; the message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction: ``COPY --chown=me a b`` has the name, one flag, and the text ``a b``."""

    source: str
    line: int
    name: str
    flags: tuple[tuple[str, str], ...]
    text: str

    def __str__(self) -> str:
        return " ".join([self.name, *(f"--{flag}={value}" for flag, value in self.flags), self.text])

    def flag(self, name: str) -> str | None:
        """The last value given for a flag, or None."""
        return dict(self.flags).get(name)

    @property
    def exec_form(self) -> tuple[str, ...] | None:
        """The words of a JSON array; None for anything else, which Docker hands to a shell."""
        try:
            words = json.loads(self.text)
        except ValueError:
            return None
        is_words = isinstance(words, list) and all(isinstance(word, str) for word in words)
        return tuple(words) if is_words else None

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """The words of the text, quotes and variables resolved."""
        try:
            return split_words(self.text, variables)
        except ValueError as error:
            raise self.refusal(str(error)) from None

    def refusal(self, problem: str) -> DockerfileError:
        """An error that says where in the file the problem is."""
        return DockerfileError(f"{self.source} line {self.line}: {problem}")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The instructions after one FROM, up to the next; ``name`` is what follows AS, or empty."""

    index: int
    name: str
    base: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """A whole file: the arguments before the first FROM, resolved, and the stages in order."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]

    def find(self, reference: str, *, before: Stage) -> Stage | None:
        """The stage that ``reference``, a name or a number, means in a stage; None for another image."""
        for stage in reversed(self.stages[: before.index]):
            if reference.lower() == stage.name or reference == str(stage.index):
                return stage
        return None

    def needed(self) -> tuple[Stage, ...]:
        """The last stage and those that it is made from, in the file's order."""
        wanted = {len(self.stages) - 1}
        for stage in reversed(self.stages):
            if stage.index in wanted:
                sources = [stage.base, *(i.flag("from") or "" for i in stage.instructions)]
                found = (self.find(source, before=stage) for source in sources)
                wanted |= {earlier.index for earlier in found if earlier}
        return tuple(stage for stage in self.stages if stage.index in wanted)

    def declared(self) -> set[str]:
        """The names of all ARG instructions."""
        args = [i for stage in self.stages for i in stage.instructions if i.name == "ARG"]
        return {*self.arguments, *(word.partition("=")[0] for i in args for word in i.words({}))}


def parse_dockerfile(text: str, build_args: Mapping[str, str], *, source: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile.

    Args:
        text: What the file holds.
        build_args: Values for ARG instructions, by name.
        source: How messages name the file.

    Raises:
        DockerfileError: if it holds an instruction or a flag that the rehearsal does not know.
    """
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text, source):
        if instruction.name == "FROM":
            stages.append(_stage(instruction, len(stages), arguments))
        elif stages:
            last = stages[-1]
            stages[-1] = Stage(
                index=last.index, name=last.name, base=last.base,
                instructions=(*last.instructions, instruction),
            )  # fmt: skip
        elif instruction.name == "ARG":
            for word in instruction.words(arguments):
                name, _, default = word.partition("=")
                arguments[name] = build_args.get(name, default)
        else:
            raise instruction.refusal(f"{instruction.name} comes before FROM; name the base image first")
    if not stages:
        raise DockerfileError(f"{source} has no FROM; a container starts from a base image")
    return Dockerfile(arguments=arguments, stages=tuple(stages))


def _stage(instruction: Instruction, index: int, arguments: Mapping[str, str]) -> Stage:
    words = instruction.words(arguments)
    if len(words) == 1 and words[0]:
        return Stage(index=index, name="", base=words[0], instructions=())
    if len(words) == 3 and words[0] and words[1].upper() == "AS":
        return Stage(index=index, name=words[2].lower(), base=words[0], instructions=())
    given = expand(instruction.text, arguments)
    raise instruction.refusal(f"FROM takes an image, or an image AS a name, got {given!r}")


def _instructions(text: str, source: str) -> Iterator[Instruction]:
    start = 0
    pieces: list[str] = []
    in_head = True  # parser directives stand above everything else
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        stripped = line.strip()
        if in_head and (escape := _ESCAPE.match(stripped)) and escape[1] != "\\":
            raise DockerfileError(f"{source} line {number}: the rehearsal knows no escape character but \\")
        in_head = in_head and stripped.startswith("#")
        if not stripped or stripped.startswith("#"):
            continue
        start = start if pieces else number
        continued = stripped.endswith("\\")
        pieces.append(line.rstrip()[:-1] if continued else line.rstrip())
        if not continued:
            yield _instruction("".join(pieces), source, start)
            pieces = []
    if pieces:
        yield _instruction("".join(pieces), source, start)


def _instruction(line: str, source: str, number: int) -> Instruction:
    name, text = [*line.split(None, 1), ""][:2]
    name = name.upper()
    flags = []
    while name in _FLAGS and _FLAGS[name] and (match := _FLAG.match(text)):
        flags.append((match[1], match[2] or "true"))
        text = text[match.end() :]
    instruction = Instruction(source=source, line=number, name=name, flags=tuple(flags), text=text.strip())
    if name not in _FLAGS:
        raise instruction.refusal(f"the rehearsal does not know the instruction {name!r}")
    for flag, _value in flags:
        if flag not in _FLAGS[name]:
            raise instruction.refusal(f"the rehearsal does not know {name} --{flag}")
    if name in ("ADD", "COPY", "RUN") and _HERE_DOCUMENT.search(text):
        raise instruction.refusal(f"the rehearsal does not know here-documents (<<); use a file, or {name} in one line")
    if not text:
        raise instruction.refusal(f"{name} says nothing")
    return instruction
