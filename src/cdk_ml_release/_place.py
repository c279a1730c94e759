"""Where a construct is in its stack, and what CDK calls the resources there: known without asking CDK."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import md5
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from constructs import Construct, IConstruct


@dataclass(frozen=True)
class Place:
    """The way from a stack to a construct.

    Attributes:
        stack: The stack.
        path: The ids on the way.
    """

    stack: Stack
    path: tuple[str, ...] = ()

    def logical_id(self, name: str) -> str:
        """What CDK calls the resource ``name`` of this construct.

        CDK may never change its names: every stack in the world would be made anew.
        """
        path = [each for each in (*self.path, name) if each != "Default"]
        if len(path) == 1:
            return _plain(path[0])
        # A path is not a secret: the hash tells one from another.
        digest = md5("/".join(path).encode(), usedforsecurity=False).hexdigest()[:8].upper()
        told: list[str] = []
        for each in path:
            if not told or not told[-1].endswith(each):
                told.append(each)
        return "".join(_plain(each) for each in told if each != "Resource")[:240] + digest


_places: WeakKeyDictionary[IConstruct, Place] = WeakKeyDictionary()


def settle(construct: Construct, scope: Construct, construct_id: str) -> None:
    """Remember where a construct of this library is."""
    above = place_of(scope)
    # As CDK does with what separates the ids of a path.
    _places[construct] = Place(above.stack, (*above.path, construct_id.replace("/", "--")))


def place_of(construct: IConstruct) -> Place:
    """Where a construct is; CDK is asked about those of others only."""
    if isinstance(construct, Stack):
        return Place(construct)
    if construct not in _places:
        stack = Stack.of(construct)
        above = stack.node.path
        path = construct.node.path.removeprefix(f"{above}/" if above else "")
        _places[construct] = Place(stack, tuple(path.split("/")))
    return _places[construct]


def stack_of(construct: IConstruct) -> Stack:
    """The stack of a construct."""
    return place_of(construct).stack


def _plain(name: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", name)
