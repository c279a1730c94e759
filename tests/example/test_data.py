"""The shipped sample is synthetic, small and what its generator writes."""

import csv
import subprocess
import sys

COLUMNS = 9


def test_the_shipped_sample_is_what_the_generator_writes(example, tmp_path):
    written = tmp_path / "abalone.data"

    subprocess.run([sys.executable, example / "make_data.py", "--output", written], check=True)

    assert written.read_bytes() == (example / "data/abalone.data").read_bytes()


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
