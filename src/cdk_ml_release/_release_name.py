"""What an endpoint is called, and what is named after it."""

from __future__ import annotations

import re

from .runtime.contract import RUN_LABEL_LENGTH

# <endpoint>-<run>-<content> names model and configuration, of which SageMaker allows 63 characters.
_LONGEST = 63 - 1 - RUN_LABEL_LENGTH - 1 - 6


def checked_endpoint_name(given: str | None, model_name: str, construct_id: str) -> str:
    """The endpoint's name: the one that was given, or one made from the model's name and the construct's id.

    Raises:
        ValueError: if an endpoint cannot be called so.
    """
    stage = re.sub("[^a-z0-9]+", "-", construct_id.lower()).strip("-")
    name = given if given is not None else f"{model_name}-{stage}"
    # SageMaker takes capitals too, but spells them differently in names and in ARNs, which permissions are made of.
    if not re.fullmatch(r"[a-z0-9](-*[a-z0-9])*", name) or len(name) > _LONGEST:
        raise ValueError(
            f"'endpoint_name' must be 1 to {_LONGEST} small letters, digits and hyphens known at "
            f"synthesis, got {name!r} ({len(name)}); models and configurations are named after it within "
            "SageMaker's 63 characters"
        )
    return name
