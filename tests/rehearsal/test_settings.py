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
