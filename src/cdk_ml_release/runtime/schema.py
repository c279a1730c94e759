"""Schema: the columns that a model is asked with, and what it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from . import outputs, rows
from .cells import COLUMN_TYPES, ColumnType
from .rows import Encoding, Rows

# What a metric's dimension, a Model Monitor file and a word on a command line can all hold.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of a model's requests in order, and its prediction.

    It is declared once: the baseline, the capture and the checks all read by it.

    Args:
        features: The type of each column, in the order in which a row of CSV has them. A ``number`` and an
            ``integer`` are compared by their distribution, a ``category`` by how often each value occurs.
        prediction: What the model's output is called: in its JSON answers, in metrics and in reports.
        prediction_type: The output's type.
        label: What the true value is called in reports, once it is known.

    Raises:
        ValueError: if there is no column, or a name or a type is not allowed.
    """

    features: Mapping[str, ColumnType]
    prediction: str = "prediction"
    prediction_type: ColumnType = "number"
    label: str = "label"

    def __post_init__(self) -> None:
        if not self.features:
            raise ValueError("'features' must name at least one column, got none; write {'age': 'number', ...}")
        for name in self.features:
            _check_name("features", name)
        for argument, name in (("prediction", self.prediction), ("label", self.label)):
            _check_name(argument, name)
            if name in self.features:
                raise ValueError(
                    f"'{argument}' must not be the name of a feature, got {name!r}; name what the model is asked with "
                    "in 'features' only"
                )
        if self.prediction == self.label:
            raise ValueError(
                f"'label' must not be the name of the prediction, got {self.label!r}; one is what the model says, the "
                "other what turned out to be true"
            )
        for name, kind in (*self.features.items(), ("prediction", self.prediction_type)):
            if kind not in COLUMN_TYPES:
                argument = f"features[{name!r}]" if name in self.features else "'prediction_type'"
                raise ValueError(
                    f"{argument} must be 'number', 'integer' or 'category', got {kind!r}; a truth value, a date or an "
                    "identifier is a category"
                )
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """The features, then the prediction."""
        return {**self.features, self.prediction: self.prediction_type}

    def to_json(self) -> str:
        """The schema as it is stored."""
        features = [{"name": name, "type": kind} for name, kind in self.features.items()]
        prediction = {"name": self.prediction, "type": self.prediction_type}
        return json.dumps({"features": features, "prediction": prediction, "label": self.label}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Schema:
        """Read a stored schema.

        Raises:
            ValueError: if it is not one.
        """
        stored: Any = json.loads(text)
        try:
            names = [each["name"] for each in stored["features"]]
            if len(set(names)) < len(names):
                raise ValueError(f"'features' must name each column once, got {', '.join(names)}; rename one")
            return cls(
                features={each["name"]: each["type"] for each in stored["features"]},
                prediction=stored["prediction"]["name"],
                prediction_type=stored["prediction"]["type"],
                label=stored["label"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a schema must have features, a prediction and a label: {error!r}") from None

    def read(self, body: str, encoding: Encoding) -> Rows:
        """The rows in the body of a request.

        CSV goes by the order of the columns, unless its first line holds exactly their names, in any order. JSON may
        be one row, a list of rows, ``{"instances": [...]}`` or a row on each line; objects go by name.

        Args:
            body: The text.
            encoding: What it is.

        Returns:
            The rows that fit, and for each other one which column is to blame.
        """
        return rows.read(self.features, body, encoding)

    def read_output(self, body: str, encoding: Encoding, count: int) -> Rows:
        """The predictions in the body of an answer.

        Args:
            body: The text.
            encoding: What it is.
            count: How many rows the request had.

        Returns:
            Rows of one value, in the order of the request; none fits if their number is another one.
        """
        return outputs.read(self.prediction, self.prediction_type, body, encoding, count)

    def read_prediction(self, value: Any, count: int) -> Rows:
        """The predictions in a value that was parsed already, as an evaluated row has them."""
        return outputs.of(self.prediction, self.prediction_type, value, count)


def _check_name(argument: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"'{argument}' must be named by 1 to 64 letters, digits, hyphens and underscores, got {name!r}; CSV goes "
            "by position, so that a column may be called otherwise here"
        )
