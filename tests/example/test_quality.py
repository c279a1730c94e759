"""The age calculator is as good as it claims on the original data."""

import os
import subprocess
from pathlib import Path
from statistics import mean

import pytest

HERE = Path(__file__).parent
ORIGINAL = Path(os.environ.get("ABALONE_DATA", HERE.parents[1] / "../shared/data/abalone.data"))
SEEDS = ("1", "2", "3", "4", "5")


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="no original data; name the file in ABALONE_DATA")
def test_the_error_on_held_out_rows_of_the_original_data_is_at_most_2_15_rings(image):
    program = [image.python / "bin/python", HERE / "held_out_error.py"]

    done = subprocess.run(
        [*program, image.root / "opt/program", ORIGINAL, *SEEDS],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    errors = [float(line) for line in done.stdout.split()]
    print("rmse by seed:", dict(zip(SEEDS, errors, strict=True)))
    assert len(errors) == 5
    assert mean(errors) <= 2.15, errors
