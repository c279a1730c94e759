"""The program before a monitor's deployment: its image, its template, its sign of life."""

import json

import boto3
import pytest

from cdk_ml_release.runtime.contract import StageFailed
from cdk_ml_release.runtime.monitor import monitor
from cdk_ml_release.runtime.monitor_stage import NAMESPACE, MonitorStage

from .fakes import AT_ONCE, ONE_LOOK, FakeCloudFormation, played_by

REPOSITORY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/abalone"
DIGEST = "sha256:" + "1" * 64
STAGE = MonitorStage(
    endpoint_name="abalone-production",
    stack_name="abalone-production-monitor",
    repository_uri=REPOSITORY,
    image_tag="monitor-0123456789abcdef",
    parameters={"Bucket": "abalone-artifacts"},
)


class FakeEcr:
    """A registry that has the monitor's image."""

    def describe_images(self, repositoryName, imageIds):  # noqa: N803
        assert (repositoryName, imageIds) == ("abalone", [{"imageTag": STAGE.image_tag}])
        return {"imageDetails": [{"imageDigest": DIGEST}]}


@pytest.fixture
def prepared(account, tmp_path):
    """Run the program with a stack in some state; returns its exports and the files of its artifact."""
    (tmp_path / "monitor.template.json").write_text(json.dumps({"Resources": {}}))

    def run(status="", pace=AT_ONCE):
        clients = {
            "ecr": played_by("ecr", FakeEcr()),
            "cloudformation": played_by("cloudformation", FakeCloudFormation([status])),
            "cloudwatch": boto3.client("cloudwatch"),
        }
        exports = monitor(STAGE.to_environment() | {"ML_HOME": str(tmp_path)}, clients.__getitem__, pace)
        return exports, {path.name: json.loads(path.read_text()) for path in (tmp_path / "artifact").iterdir()}

    return run


def test_the_template_is_deployed_with_the_image_by_its_digest(prepared):
    exports, files = prepared()

    assert exports == {"IMAGE_URI": f"{REPOSITORY}@{DIGEST}"}
    assert files == {
        "template.json": {"Resources": {}},
        "configuration.json": {"Parameters": {"ImageUri": f"{REPOSITORY}@{DIGEST}", "Bucket": "abalone-artifacts"}},
    }


def test_a_monitor_that_has_just_been_deployed_is_not_taken_for_one_that_is_down(prepared):
    prepared()

    found = boto3.client("cloudwatch").list_metrics(Namespace=NAMESPACE)["Metrics"]
    assert found == [
        {
            "Namespace": NAMESPACE,
            "MetricName": "Completed",
            "Dimensions": [{"Name": "EndpointName", "Value": "abalone-production"}],
        }
    ]


def test_refuses_to_deploy_into_a_stack_that_needs_a_person(prepared):
    with pytest.raises(StageFailed, match="'abalone-production-monitor' is UPDATE_ROLLBACK_FAILED"):
        prepared("UPDATE_ROLLBACK_FAILED", ONE_LOOK)
