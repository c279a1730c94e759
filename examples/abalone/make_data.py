#!/usr/bin/env python3
"""Write the example's data: a SYNTHETIC sample with the shape of the abalone data of the UCI archive.

No abalone was measured for it. It stands in for the original where the archive is out of reach, and must not
be used to learn anything about abalone. Same seed, same sample.
"""

import argparse
import math
import random
from pathlib import Path

ROWS = 1200
SEED = 1
SAMPLE = Path(__file__).parent / "data" / "abalone.data"


def main() -> None:
    """Write the sample to the file that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=SAMPLE)
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(sample(arguments.rows, arguments.seed))


def sample(rows: int, seed: int) -> str:
    """CSV text without a header: sex, seven measurements and rings in each row."""
    rng = random.Random(seed)
    return "".join(",".join(map(str, abalone(rng))) + "\n" for _ in range(rows))


def abalone(rng: random.Random) -> tuple[object, ...]:
    """One animal: it grows fast, then slowly (von Bertalanffy), its weights with the cube of its length."""
    rings = min(29, max(2, round(rng.lognormvariate(2.23, 0.33))))
    length = min(0.8, 0.63 * rng.lognormvariate(0, 0.11) * (1 - math.exp(-0.2 * rings)))
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
