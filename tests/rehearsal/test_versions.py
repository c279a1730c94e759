"""``ml-release versions`` and ``ml-release roll-back``, against a rehearsal as against an account.

An execution that is started with a version releases it without building anything.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from cdk_ml_release.cli import main
from cdk_ml_release.rehearsal.places import RehearsalError

from .conftest import actions, failure

LONG_ENOUGH_SECONDS = 120


@pytest.fixture
def ml_release(monkeypatch, capsys):
    """Run the command as a person does who has set the environment; returns status and what was printed."""

    def run(show, *arguments):
        gateway = show.rehearsal.gateway
        for name, value in gateway.root.environment(gateway.endpoint, gateway.region).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "200")
        status = main(list(arguments))
        told = capsys.readouterr()
        return status, (told.out or told.err).rstrip("\n")

    return run


def rows(table):
    """The cells of a table without lines: the first two are the version and its status."""
    return [line.split() for line in table.splitlines()[1:]]


def ended(show):
    """Wait for the execution that was started last."""
    deadline = time.monotonic() + LONG_ENOUGH_SECONDS
    while show.releases[-1].status == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return show.releases[-1]


def test_a_person_lists_the_versions_and_goes_back_and_forth(stage, ml_release):
    with stage() as show:
        show.begin()
        (pipeline,) = show.rehearsal.walkers

        assert ml_release(show, "roll-back", "--pipeline", pipeline) == (
            1,
            "ml-release: 'tiny-live' has served no version but 1: name another one with --to",
        )
        for arguments, message in _refused(pipeline).items():
            status, told = ml_release(show, *arguments)
            assert (status, "\n" in told) == (1, False)
            assert message in told
        assert len(show.executions) == 1, "nothing was started"

        show.push({"README.md": "a new commit"})
        status, table = ml_release(show, "versions", "--pipeline", pipeline)
        assert status == 0
        assert [(row[0], row[1]) for row in rows(table)] == [("2", "approved"), ("1", "approved")]
        assert "tiny-live" in table.splitlines()[1]
        assert "tiny-live" not in table.splitlines()[2]
        assert "rmse 0." in table
        assert ml_release(show, "versions", "--model", "tiny", "--most", "1")[1] == "\n".join(table.splitlines()[:2])

        jobs = len(show.report()["jobs"])
        status, told = ml_release(show, "roll-back", "--pipeline", pipeline)
        back = ended(show)
        assert (status, back.status) == (0, "Succeeded")
        assert told.startswith(f"execution {back.id} of {pipeline} releases version 1 of tiny, instead of version 2;")
        assert_released_without_a_build(show, back)
        assert len(show.report()["jobs"]) == jobs
        assert show.report()["endpoints"][0]["model_package_arn"].endswith("/1")
        assert "tiny-live" in ml_release(show, "versions", "--model", "tiny")[1].splitlines()[2]

        sagemaker = show.rehearsal.gateway.client("sagemaker")
        second = show.report()["endpoints"][0]["model_package_arn"].removesuffix("/1") + "/2"
        sagemaker.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Rejected")
        assert ml_release(show, "roll-back", "--pipeline", pipeline) == (
            1,
            "ml-release: version 2 of 'tiny' was rejected: choose another one with --to",
        )
        assert_refused_by_the_pipeline(show, second)
        sagemaker.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Approved")
        assert ml_release(show, "roll-back", "--pipeline", pipeline, "--to", "2")[0] == 0
        assert ended(show).status == "Succeeded"
        assert show.report()["endpoints"][0]["model_package_arn"] == second


def assert_released_without_a_build(show, back):
    """Version 1 is released by an execution that has built nothing."""
    assert back.trigger == "StartPipelineExecution"
    assert [(each.name, each.status) for each in back.stages] == [
        ("Source", "Succeeded"),
        ("Build", "Skipped"),
        ("Promote", "Succeeded"),
        ("Live", "Succeeded"),
    ]
    assert back.stage("Build").actions == []
    assert "Build is Skipped: rule BuildsNewModel: #{variables.ModelVersion} is '1'" in str(show.spectator.notes)
    assert float(show.invoke("3.0")) == pytest.approx(7.0, abs=0.5)
    question = back.stage("Promote").actions[-1].message
    assert question.startswith("roll back to version 1 of tiny from commit ")
    assert "in service at tiny-live: " in question


def assert_refused_by_the_pipeline(show, rejected):
    """What cannot be released is refused before anybody is asked, and version 1 stays in service."""
    show.rehearsal.gateway.client("sagemaker").create_model_package_group(ModelPackageGroupName="oyster")
    other = rejected.replace("/tiny/2", "/oyster/1")
    refusals = {
        2: "model-package/tiny/2 was rejected: release another one",
        7: "the model 'tiny' has no version 7",
        "latest": "must be 'new' or the number of a version of 'tiny', got 'latest'",
        other: f"must be 'new' or the number of a version of 'tiny', got '{other}'",
    }
    for wanted, message in refusals.items():
        refused = show.release(wanted, retry={"Build": 1})

        assert refused.status == "Failed"
        name, told = failure(refused)
        assert (name, "\n" in told) == ("Choose", False)
        assert message in told
        assert refused.stage("Live") is None
    assert show.report()["endpoints"][0]["model_package_arn"].endswith("/1")


def _refused(pipeline):
    return {
        ("roll-back", "--pipeline", "nobody"): "there is no pipeline 'nobody' in this account and region",
        ("roll-back", "--pipeline", pipeline, "--to", "9"): "the model 'tiny' has no version 9",
        ("roll-back", "--pipeline", pipeline, "--model", "oyster"): f"'{pipeline}' releases 'tiny', not 'oyster'",
        ("versions", "--pipeline", "nobody"): "there is no pipeline 'nobody' in this account and region",
        ("versions", "--model", "oyster"): "'oyster'",
    }


def test_a_pipeline_without_the_variable_cannot_be_asked_for_a_version(stage):
    def without_variable(template):
        for each in template["Resources"].values():
            if each["Type"] == "AWS::CodePipeline::Pipeline":
                del each["Properties"]["Variables"]
                del each["Properties"]["Stages"][1:]
                each["Properties"]["Stages"].append({"Name": "Ask", "Actions": [_QUESTION]})

    with stage(template=without_variable) as show:
        assert [name for name, _ in actions(show.begin())] == ["Source", "Ask"]

        with pytest.raises(RehearsalError, match="no pipeline can release version 1: none has the variable"):
            show.release(1)


_QUESTION = {
    "Name": "Ask",
    "ActionTypeId": {"Category": "Approval", "Owner": "AWS", "Provider": "Manual", "Version": "1"},
}


def test_an_account_that_cannot_be_reached_is_one_line(monkeypatch, capsys):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    assert main(["versions", "--model", "tiny"]) == 1
    assert capsys.readouterr().err == "ml-release: Unable to locate credentials\n"


@pytest.mark.parametrize("missing", ["boto3", "rich"])
@pytest.mark.parametrize("verb", [["versions", "--model", "tiny"], ["roll-back", "--pipeline", "p"]])
def test_what_is_not_installed_is_named(missing, verb):
    # A module that is None is one that cannot be found.
    code = f"import sys; sys.modules[{missing!r}] = None; from cdk_ml_release.cli import main; sys.exit(main({verb}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == (
        f"ml-release: this needs the module '{missing}': pip install 'cdk-ml-release[rehearsal]'\n"
    ), done.stderr


def test_the_verbs_load_neither_cdk_nor_the_rehearsal():
    code = (
        "import sys; from cdk_ml_release.cli import main\n"
        "try: main(['versions', '--help'])\nexcept SystemExit: print(*sys.modules)"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not {"aws_cdk", "jsii", "moto", "boto3", "rich"} & set(loaded.split())
