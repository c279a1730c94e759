"""What data must keep: a ``constraints.json``, ours or one of SageMaker Model Monitor's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..runtime.cells import ColumnType
from ..runtime.contract import StageFailed

_TYPES: dict[str, ColumnType] = {"Integral": "integer", "Fractional": "number", "String": "category"}


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What the values of one feature must keep."""

    name: str
    kind: ColumnType | None = None
    """The type that Model Monitor has inferred; None if it has not."""
    completeness: float = 0.0
    """The share of rows that have a value, at least."""
    non_negative: bool = False
    domain: frozenset[str] | None = None
    """The values that a category may have; None for any."""


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """What the values of all features must keep."""

    features: Mapping[str, Constraint] = field(default_factory=dict)
    datatype_threshold: float = 1.0
    """The share of rows whose value has the right type, at least."""
    domain_threshold: float = 1.0
    """The share of values that must be in the domain, at least."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """The file as it was read."""

    @classmethod
    def from_json(cls, content: bytes | str, uri: str) -> Constraints:
        """Read a ``constraints.json``, as the build writes it and as Model Monitor's baseline job does.

        A constraint on a column that the schema does not have is kept, but nothing is held against it.

        Args:
            content: The file.
            uri: Where it is, for messages.

        Raises:
            StageFailed: if it is damaged.
        """
        try:
            document: Any = json.loads(content)
            config = document.get("monitoring_config") or {}
            features = [_feature(each) for each in document["features"]]
            return cls(
                features={each.name: each for each in features},
                datatype_threshold=float(config.get("datatype_check_threshold", 1.0)),
                domain_threshold=float(config.get("domain_content_threshold", 1.0)),
                document=document,
            )
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise StageFailed(f"{uri} is damaged: {error!r}; build the model again") from None

    def of(self, name: str) -> Constraint:
        """What the values of a feature must keep; nothing, if the file does not name it."""
        return self.features.get(name, Constraint(name=name))


def _feature(stored: Mapping[str, Any]) -> Constraint:
    domain = (stored.get("string_constraints") or {}).get("domains")
    return Constraint(
        name=str(stored["name"]),
        kind=_TYPES.get(stored.get("inferred_type", "")),
        completeness=float(stored.get("completeness", 0.0)),
        non_negative=bool((stored.get("num_constraints") or {}).get("is_non_negative", False)),
        domain=frozenset(map(str, domain)) if domain else None,
    )
