"""A pipeline that these constructs did not write is rehearsed as it stands in its template."""

from __future__ import annotations

from pathlib import Path

from cdk_ml_release.rehearsal.assembly import read_app, synthesize
from cdk_ml_release.rehearsal.command import cache_folder
from cdk_ml_release.rehearsal.rehearsal import Rehearsal
from cdk_ml_release.rehearsal.settings import Settings

from .conftest import Spectator, actions

PLAIN = Path(__file__).parent / "plain"


def test_a_pipeline_of_others_runs_its_own_buildspec_conditions_and_stack(tmp_path):
    spectator = Spectator()
    rehearsal = Rehearsal(
        assembly=synthesize(read_app(PLAIN), tmp_path / "assembly"),
        settings=Settings(sources={"code.zip": PLAIN / "code"}),
        out=tmp_path / "out",
        cache=cache_folder(),
        audience=spectator,
    )

    with rehearsal.on_stage():
        rehearsal.begin()
        (walker,) = rehearsal.walkers.values()
        (execution,) = walker.executions
        topics = rehearsal.gateway.client("sns").list_topics()["Topics"]

    assert execution.status == "Succeeded", actions(execution)
    assert [(stage.name, stage.status) for stage in execution.stages] == [
        ("Source", "Succeeded"),
        ("Build", "Succeeded"),
        ("Never", "Skipped"),
        ("Deploy", "Succeeded"),
        ("Show", "Succeeded"),
    ]
    assert topics[0]["TopicArn"].endswith(":plain-topic")
    assert 'it\'s "quoted" & fine to nobody' in spectator.lines["Build"]
    assert "finally" in spectator.lines["Build"]
    assert "succeeding 1" in spectator.lines["Build"]
    assert any(line.endswith(":plain-topic") for line in spectator.lines["Show"])
