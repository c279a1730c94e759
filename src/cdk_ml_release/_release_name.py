"""What an endpoint or a batch is called, and what is named after it."""

from __future__ import annotations

import re

from .runtime.contract import RUN_LABEL_LENGTH

# <name>-<run>-<content> names models, configurations and jobs, of which SageMaker allows 63 characters.
_LONGEST = 63 - 1 - RUN_LABEL_LENGTH - 1 - 6


def checked_release_name(argument: str, given: str | None, model_name: str, construct_id: str, named: str) -> str:
    """The name that was given, or one made from the model's name and the construct's id.

    Args:
        argument: What the name is given as.
        given: The name, if one was given.
        model_name: The model's name.
        construct_id: The construct's id.
        named: What is named after it, for the message.

    Raises:
        ValueError: if the name cannot be used.
    """
    stage = re.sub("[^a-z0-9]+", "-", construct_id.lower()).strip("-")
    name = given if given is not None else f"{model_name}-{stage}"
    # SageMaker takes capitals too, but spells them differently in names and in ARNs, which permissions are made of.
    if not re.fullmatch(r"[a-z0-9](-*[a-z0-9])*", name) or len(name) > _LONGEST:
        raise ValueError(
            f"'{argument}' must be 1 to {_LONGEST} small letters, digits and hyphens known at "
            f"synthesis, got {name!r} ({len(name)}); {named} are named after it within SageMaker's 63 characters"
        )
    return name
