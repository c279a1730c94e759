"""A straight line through the rows: y = slope * x + offset."""

import json
import os
from pathlib import Path

ML = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def rows(folder):
    text = "\n".join(path.read_text() for path in sorted(folder.rglob("*.csv")))
    return [tuple(map(float, line.split(","))) for line in text.splitlines() if line]


def write_rows(path, some):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{x},{y}\n" for x, y in some))


def fit(some):
    mean_x, mean_y = (sum(column) / len(some) for column in zip(*some, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in some) / sum((x - mean_x) ** 2 for x, _ in some)
    return {"slope": slope, "offset": mean_y - slope * mean_x}


def predict(model, x):
    return model["slope"] * x + model["offset"]


def read_model(folder):
    return json.loads((folder / "model.json").read_text())
