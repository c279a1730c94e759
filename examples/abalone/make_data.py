#!/usr/bin/env python3
"""Write the example's data: SYNTHETIC samples with the shape of the abalone data of the UCI archive.

No abalone was measured for them. They stand in for the original where the archive is out of reach, and must not
be used to learn anything about abalone. Same seed, same sample.
"""

import argparse
import math
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

# In a better season the animals are longer at the same age.
USUAL, BIGGER = 1.0, 1.07


def main() -> None:
    """Write the samples into the folder that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().output
    for path, text in samples().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def samples() -> dict[str, str]:
    """Every file: labelled rows as ``.data``, and as ``.csv`` what the endpoint is asked, without the rings."""
    return {
        "data/abalone.data": _lines(sample(1200, 1, USUAL)),
        "seasons/usual.csv": _lines(row[:-1] for row in sample(300, 21, USUAL)),
        "seasons/bigger.csv": _lines(row[:-1] for row in sample(300, 11, BIGGER)),
        "seasons/bigger.data": _lines(sample(2400, 4, BIGGER)),
    }


def _lines(rows: Iterable[Sequence[object]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def sample(rows: int, seed: int, growth: float) -> list[tuple[object, ...]]:
    """Rows without a header: sex, seven measurements and rings in each."""
    rng = random.Random(seed)
    return [abalone(rng, growth) for _ in range(rows)]


def abalone(rng: random.Random, growth: float) -> tuple[object, ...]:
    """One animal: it grows fast, then slowly (von Bertalanffy), its weights with the cube of its length."""
    rings = min(29, max(2, round(rng.lognormvariate(2.23, 0.33))))
    length = min(0.8, 0.63 * growth * rng.lognormvariate(0, 0.11) * (1 - math.exp(-0.2 * rings)))
    mature = 1 / (1 + math.exp(-(length - 0.47) / 0.05))
    sex = rng.choice("MF") if rng.random() < mature else "I"
    whole = 5.0 * length**3 * (1 + 0.25 * length) * rng.lognormvariate(0, 0.08)
    # With age, less of the weight is meat and more of it is shell.
    meat = 0.455 * (rings / 10) ** -0.14 * rng.lognormvariate(0, 0.06)
    shell = 0.275 * (rings / 10) ** 0.18 * rng.lognormvariate(0, 0.07)
    viscera = 0.215 * rng.lognormvariate(0, 0.1)
    return (
        sex,
        _step(length, 0.005),
        _step(length * 0.795 * rng.lognormvariate(0, 0.02), 0.005),
        _step(length * 0.267 * rng.lognormvariate(0, 0.06), 0.005),
        _step(whole, 0.0005),
        _step(whole * meat, 0.0005),
        _step(whole * viscera, 0.0005),
        _step(whole * shell, 0.0005),
        rings,
    )


def _step(value: float, step: float) -> float:
    """The nearest reading of a scale divided into ``step``, never zero."""
    return round(max(1, round(value / step)) * step, 4)


if __name__ == "__main__":
    main()
