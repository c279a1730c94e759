"""A buildspec does what CodeBuild does with it, in a real shell."""

from __future__ import annotations

import json
import subprocess

import pytest

from cdk_ml_release.rehearsal.pipelines.buildspec import BuildspecError, read_buildspec


def run(phases: dict[str, object]) -> tuple[int, list[str]]:
    """Exit status, and the lines that the commands wrote."""
    script = read_buildspec(json.dumps({"version": 0.2, "phases": phases})).script()
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    return done.returncode, [line for line in done.stdout.splitlines() if not line.startswith("[build]")]


def test_commands_share_one_shell_across_phases():
    status, lines = run({"install": {"commands": ["WORD=hello", "cd /"]}, "build": {"commands": ['echo "$WORD $PWD"']}})

    assert (status, lines) == (0, ["hello /"])


def test_a_failed_command_ends_its_phase_and_post_build_still_runs():
    status, lines = run(
        {
            "build": {"commands": ["echo first", "false", "echo never"], "finally": ["echo finally"]},
            "post_build": {"commands": ['echo "succeeding: $CODEBUILD_BUILD_SUCCEEDING"']},
        }
    )

    assert (status, lines) == (1, ["first", "finally", "succeeding: 0"])


@pytest.mark.parametrize("phase", ["install", "pre_build"])
def test_a_failed_preparation_ends_the_build(phase):
    status, lines = run({phase: {"commands": ["false"]}, "build": {"commands": ["echo never"]}, "post_build": {}})

    assert (status, lines) == (1, [])


def test_a_command_may_have_several_lines():
    status, lines = run({"build": {"commands": ["if true; then\n  echo yes\nfi"]}})

    assert (status, lines) == (0, ["yes"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 0.1", "version 0.2"),
        ("version: 0.2\nbatch: {}", "does not know these parts of a buildspec: batch"),
        ("version: 0.2\nenv: {shell: powershell.exe}", "does not know the shell 'powershell.exe'"),
        ("version: 0.2\nphases: {deploy: {}}", "has a phase 'deploy'; the phases are install"),
        ("version: [", "is not YAML"),
    ],
)
def test_refuses_what_it_cannot_run(text, told):
    with pytest.raises(BuildspecError, match=told):
        read_buildspec(text)
