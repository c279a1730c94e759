"""The age calculator is as good as it claims on the original data."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ORIGINAL = Path(os.environ.get("ABALONE_DATA", PROJECT / "../shared/data/abalone.data"))
SEEDS = (1, 2, 3, 4, 42)


@pytest.mark.skipif(
    not ORIGINAL.exists(), reason=f"the original data is not there: {ORIGINAL}; see ABALONE_DATA"
)
def test_the_held_out_error_on_the_original_data_is_at_most_two_rings_and_a_bit(image, tmp_path, container):
    def measure(seed):
        one = type(container)(image, tmp_path / str(seed), {"SEED": str(seed)})
        (one.base / "processing/input/data").mkdir(parents=True)
        shutil.copy(ORIGINAL, one.base / "processing/input/data")
        one.release()
        evaluation = json.loads(one.read("processing/output/evaluation/evaluation.json"))
        return evaluation["regression_metrics"]["rmse"]["value"]

    with ThreadPoolExecutor(2) as workers:
        errors = list(workers.map(measure, SEEDS))

    print("rmse by seed:", dict(zip(SEEDS, errors, strict=True)))
    assert sum(errors) / len(errors) <= 2.15, errors
