"""Says at synth what CodePipeline would say at deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import jsii
from constructs import Construct, IValidation

# Source: CodePipeline's quotas. Neither CDK nor CloudFormation looks before the deployment does.
_LONGEST_CONFIGURATION_VALUE = 1000
_MOST_STAGES = 50
_KNOWN_LATER = re.compile(r"\$\{[^}]*\}")


class _Watched(Protocol):
    def problems(self) -> Iterator[str]:
        """What is wrong at the time of asking."""


@jsii.implements(IValidation)
class PipelineLimits:
    """Asks a pipeline for its problems when the app is synthesized."""

    def __init__(self, watched: _Watched) -> None:
        """Ask ``watched``; not before :meth:`watch`, for every question is a round trip."""
        self._watched = watched
        self._watching = False

    def watch(self, construct: Construct) -> None:
        """Ask at synth."""
        if not self._watching:
            self._watching = True
            construct.node.add_validation(self)

    def validate(self) -> list[str]:
        """What is wrong."""
        return list(self._watched.problems())


def problems(stages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What CodePipeline would refuse in these stages, which are resolved, in the words of CloudFormation or CDK."""
    declared = [_small(each) for each in stages]
    if len(declared) < 2:
        yield "the pipeline has no stages behind its source: pass 'stages' or call add_stage()"
    elif len(declared) > _MOST_STAGES:
        yield f"the pipeline must have at most {_MOST_STAGES} stages, got {len(declared)}: split it in two"
    else:
        for stage in declared:
            for action in stage["actions"]:
                yield from _too_long(stage["name"], _small(action))


def _small(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: each for name, each in value.items()}


def _too_long(stage_name: str, action: Mapping[str, Any]) -> Iterator[str]:
    for key, value in (action.get("configuration") or {}).items():
        size = _literal_length(value)
        if size > _LONGEST_CONFIGURATION_VALUE:
            yield (
                f"'{key}' of action '{action['name']}' in stage '{stage_name}' must be at most "
                f"{_LONGEST_CONFIGURATION_VALUE} characters, got {size}: CodePipeline refuses it; set what does not "
                "change from run to run on the CodeBuild project"
            )


def _literal_length(value: Any) -> int:
    """Characters of a resolved value; what only the deployment knows counts for none."""
    match value:
        case str():
            return len(_KNOWN_LATER.sub("", value))
        case {"Fn::Join": [_, parts]}:
            return sum(_literal_length(part) for part in parts)
        case {"Fn::Sub": [text, _]} | {"Fn::Sub": text}:
            return _literal_length(text)
    return 0
