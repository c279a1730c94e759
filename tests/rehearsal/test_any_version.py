"""Any version, any time: an execution that is started with a version releases it without building anything."""

from __future__ import annotations

import pytest

from cdk_ml_release.rehearsal.places import RehearsalError

from .conftest import actions, failure


def serving(show):
    (endpoint,) = show.report()["endpoints"]
    return endpoint["model_package_arn"].rpartition("/")[2]


def test_a_roll_back_runs_no_job_and_version_1_serves(stage):
    with stage() as show:
        show.begin()
        show.push({"README.md": "a new commit"})
        jobs = len(show.report()["jobs"])
        assert serving(show) == "2"

        back = show.release(1, retry={"Build": 1})

        assert back.status == "Succeeded"
        assert back.trigger == "StartPipelineExecution"
        assert [(each.name, each.status) for each in back.stages] == [
            ("Source", "Succeeded"),
            ("Build", "Skipped"),
            ("Promote", "Succeeded"),
            ("Live", "Succeeded"),
        ]
        assert back.stage("Build").actions == []
        assert "Build is Skipped: rule BuildsNewModel: #{variables.ModelVersion} is '1'" in str(show.spectator.notes)
        assert len(show.report()["jobs"]) == jobs
        assert serving(show) == "1"
        assert float(show.invoke("3.0")) == pytest.approx(7.0, abs=0.5)
        question = back.stage("Promote").actions[-1].message
        assert question.startswith("roll back to version 1 of tiny from commit ")
        assert "in service at tiny-live: " in question

        for wanted, message in _refused(show).items():
            refused = show.release(wanted)

            assert refused.status == "Failed"
            name, told = failure(refused)
            assert (name, "\n" in told) == ("Choose", False)
            assert message in told
            assert refused.stage("Live") is None
        assert serving(show) == "1"


def _refused(show):
    sagemaker = show.rehearsal.gateway.client("sagemaker")
    (second, _) = sagemaker.list_model_packages(ModelPackageGroupName="tiny", SortOrder="Descending")[
        "ModelPackageSummaryList"
    ]
    sagemaker.update_model_package(ModelPackageArn=second["ModelPackageArn"], ModelApprovalStatus="Rejected")
    sagemaker.create_model_package_group(ModelPackageGroupName="oyster")
    other = second["ModelPackageArn"].replace("/tiny/2", "/oyster/1")
    return {
        2: "model-package/tiny/2 was rejected: release another one",
        7: "the model 'tiny' has no version 7",
        "latest": "must be 'new' or the number of a version of 'tiny', got 'latest'",
        other: f"must be 'new' or the number of a version of 'tiny', got '{other}'",
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
