"""Shell words: a line of a Dockerfile, split and expanded as Docker and the shell do."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Operator", "expand", "split_words"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | '(?P<single>[^']*)'
    | "(?P<double>(?:\\.|[^"\\])*)"
    | \\(?P<escape>.)
    | (?P<substitution>\$\([^)]*\) | `[^`]*`)
    | (?P<variable>\$(?:\w+ | \{\w+(?::?[-+][^}]*)?\}))
    | (?P<operator>&& | \|\| | ;; | >> | [;|&<>()])
    | (?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(r"\\([\\\"$`]) | \$(?:(\w+) | \{(\w+)(?::?([-+])([^}]*))?\})", re.VERBOSE)


class Operator(str):
    """A piece of the shell's grammar, such as ``&&``, that was not quoted."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+other}``; unset means empty."""

    def value(match: re.Match[str]) -> str:
        escaped, short, long, sign, other = match.groups()
        if escaped:
            return str(escaped)
        found = variables.get(short or long, "")
        if sign == "+":
            return other if found else ""
        return found or (other if sign else "")

    return _VARIABLE.sub(value, text)


def split_words(text: str, variables: Mapping[str, str], *, shell: bool = False) -> list[str]:
    """Split ``text`` into words, without their quotes and with their variables replaced.

    Args:
        text: One line, its continuations already joined.
        variables: What ``$NAME`` stands for.
        shell: Whether the line is for a shell. Then operators are words of their own, and a variable
            outside quotes may become several words, or none. Command substitutions stay as written.

    Raises:
        ValueError: if a quote is never closed.
    """
    words: list[str] = []
    word: str | None = None  # None between words; an empty string is a word that was quoted
    for match in _TOKEN.finditer(text):
        kind, piece = match.lastgroup, match[match.lastgroup or 0]
        if kind == "space" or (kind == "operator" and shell):
            words += [] if word is None else [word]
            words += [Operator(piece)] if kind == "operator" else []
            word = None
        elif kind == "variable" and shell:
            word = _add_unquoted(words, word, expand(piece, variables))
        elif kind == "plain" and piece in "'\"":
            raise ValueError(f"the quote {piece} is never closed")
        else:
            value = expand(piece, variables) if kind in ("double", "variable") else piece
            word = (word or "") + value
    return words if word is None else [*words, word]


def _add_unquoted(words: list[str], word: str | None, value: str) -> str | None:
    pieces = value.split()
    if not pieces:
        return word
    pieces[0] = (word or "") + pieces[0]
    words += pieces[:-1]
    return pieces[-1]
