"""``rehearsal.toml``: what happens after the first execution."""

from __future__ import annotations

import pytest

from cdk_ml_release.rehearsal.settings import SettingsError, read_settings


@pytest.fixture
def settings(tmp_path):
    """Read the settings that a person has written."""

    def read(text):
        (tmp_path / "rehearsal.toml").write_text(text)
        return read_settings(tmp_path)

    return read


@pytest.mark.parametrize("written", ["1", '"1"'])
def test_a_registered_version_may_be_released(settings, written):
    (event,) = settings(f"[[then]]\nrelease = {written}\n").then

    assert event.release == "1"


def test_no_version_is_released_unless_it_is_asked_for(settings):
    (event,) = settings('[[then]]\napprove = "no"\n').then

    assert event.release is None


@pytest.mark.parametrize("written", ["true", "1.5", '""', "[1]"])
def test_fails_when_a_version_is_no_number(settings, written):
    with pytest.raises(SettingsError, match=r"'then\.release' must be the number of a registered version, got "):
        settings(f"[[then]]\nrelease = {written}\n")


def test_fails_when_a_word_of_an_event_is_misspelled(settings):
    with pytest.raises(
        SettingsError, match=r"'then\.relaese' is not a setting; the settings are approve, labels, name"
    ):
        settings("[[then]]\nrelaese = 1\n")


@pytest.fixture
def with_files(settings, tmp_path):
    def read(text, **files):
        for name, content in files.items():
            (tmp_path / name.replace("_", ".", 1)).write_text(content)
        return settings(f"[[then]]\n{text}\n").then[0]

    return read


def test_an_event_may_send_label_and_let_time_pass(with_files, tmp_path):
    text = 'name = "a season"\nsend = { live = "a.csv" }\nlabels = { live = "b.csv" }\npass = "2d"'

    event = with_files(text, a_csv="1\n2\n", b_csv="a-1,3\n")

    assert (event.name, event.pass_seconds) == ("a season", 2 * 24 * 3600)
    assert (event.send["live"], event.labels["live"]) == (tmp_path / "a.csv", tmp_path / "b.csv")


@pytest.mark.parametrize("written", ['"1 hour"', '"0h"', '"90m"', "1", '""', '"-1h"'])
def test_fails_when_it_is_not_clear_how_much_time_passes(settings, written):
    with pytest.raises(SettingsError, match=r"'then\.pass' must be a number of hours or days such as \"1h\""):
        settings(f"[[then]]\npass = {written}\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('send = { live = "no.csv" }', r"'then\.send\.live' must be a file or folder that exists, got 'no\.csv'"),
        ('send = { live = "a.txt" }', r"'then\.send\.live' must be a file \.csv or \.jsonl of requests, got 'a\.txt'"),
        (
            'send = { live = "empty.csv" }',
            r"'then\.send\.live' must have a request in each line, 'empty\.csv' is empty",
        ),
        ('send = { live = "a b.csv" }', r"'then\.send\.live' must be called with at most 50 letters"),
        ('send = "a.csv"', r"'then\.send' must be a table of names and files or folders, got 'a\.csv'"),
        ('labels = { live = "empty.csv" }', r"'then\.labels\.live' must be a file with an inference id and a label"),
        ('labels = { live = "a.txt" }', r"'then\.labels\.live': line 2 of 'a\.txt' must be <inference id>,<label>"),
        ("name = 3", r"'then\.name' must be a text, got 3"),
    ],
)
def test_fails_when_an_event_cannot_happen(with_files, tmp_path, text, reason):
    (tmp_path / "a b.csv").write_text("1\n")

    with pytest.raises(SettingsError, match=reason):
        with_files(text, a_txt="a-1,3\nno label\n", empty_csv="\n")


def test_traffic_may_be_declared(settings):
    assert settings("traffic = 20\n").traffic == 20
    assert settings("").traffic == 0


@pytest.mark.parametrize("written", ['"20"', "-1", "true"])
def test_fails_when_traffic_is_no_number(settings, written):
    with pytest.raises(SettingsError, match="'traffic' must be a number, 0 or more, got "):
        settings(f"traffic = {written}\n")
