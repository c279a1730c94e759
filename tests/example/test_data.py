"""The shipped sample is synthetic, small and what its generator writes."""

import csv
import subprocess
import sys

COLUMNS = 9


def test_the_shipped_samples_are_what_the_generator_writes(example, tmp_path):
    subprocess.run([sys.executable, example / "make_data.py", "--output", tmp_path], check=True)

    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    shipped = [path for folder in ("data", "seasons") for path in (example / folder).iterdir()]
    assert written == {path.relative_to(example): path.read_bytes() for path in shipped}


def test_the_data_folder_holds_only_data(example):
    files = [path.name for path in (example / "data").iterdir()]

    assert files == ["abalone.data"]


def test_the_shipped_sample_is_small_and_has_the_shape_of_the_original(example):
    text = (example / "data/abalone.data").read_text()

    rows = list(csv.reader(text.splitlines()))
    rings = [int(row[-1]) for row in rows]
    assert len(text) < 100_000
    assert 1000 <= len(rows) <= 1500
    assert {len(row) for row in rows} == {COLUMNS}
    assert {row[0] for row in rows} == {"F", "I", "M"}
    assert 9 < sum(rings) / len(rings) < 11
