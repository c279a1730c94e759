"""What one release costs."""

import json

import pytest

from cdk_ml_release.cost import Assumptions, estimate

from .conftest import a, action, endpoint, pipeline, project, two_instances

TRAIN = {
    "TrainingJobName": "${JobName}",
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 50},
}
SCALED = a(
    "AWS::ApplicationAutoScaling::ScalableTarget",
    ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    ResourceId="endpoint/live/variant/AllTraffic",
    MinCapacity=2,
    MaxCapacity=4,
)
TRANSFORM = {
    "TransformJobName": "${JobName}",
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}


def build(name, **variables):
    given = [{"name": key, "value": value} for key, value in variables.items()]
    return action(name, "CodeBuild", ProjectName={"Ref": "Builds"}, EnvironmentVariables=json.dumps(given))


def amounts(bill):
    return {line.item: line.usd for line in bill.releases[0].lines}


def test_a_build_waits_for_its_job_and_the_waiting_is_named(assembly):
    folder = assembly(
        {"Builds": project(), "Pipeline": pipeline(build("Train", ML_TASK="train"))}, beside={"train.json": TRAIN}
    )

    bill = estimate(folder, Assumptions(minutes_by_job={"train": 30}))

    assert amounts(bill) == {
        "training on 2 x ml.m5.xlarge, 30 min": pytest.approx(0.23),
        "2 x volume of 50 GB, 30 min": pytest.approx(100 * 0.14 * 0.5 / 730),
        "CodeBuild general1.small on LINUX_CONTAINER, 32 min, 30 of them waiting": pytest.approx(0.16),
        "CodePipeline, 32 min": pytest.approx(0.064),
    }
    assert bill.releases[0].waiting_minutes == 30
    assert sum(line.usd for line in bill.releases[0].waiting) == pytest.approx(30 * 0.007)


def test_a_job_is_found_by_its_name_in_an_environment_that_only_the_deployment_completes(assembly):
    parts = ['[{"name":"ML_BUCKET","value":"', {"Ref": "Bucket"}, '"},{"name":"ML_TASK","value":"train"}]']
    train = action("Train", "CodeBuild", ProjectName={"Ref": "Builds"}, EnvironmentVariables={"Fn::Join": ["", parts]})
    resources = {"Builds": project(), "Pipeline": pipeline(build("Container"), train)}

    bill = estimate(assembly(resources, beside={"train.json": TRAIN}))

    assert [line.where for line in bill.releases[0].lines if line.item.startswith("training")] == ["Stage / Train"]


def test_a_job_that_no_action_names_belongs_to_the_build_that_brings_it_along(assembly):
    resources = {"Builds": project(), "Pipeline": pipeline(build("Batch", ML_OTHER="x"), build("After"))}

    bill = estimate(assembly(resources, beside={"transform.json": TRANSFORM}))

    jobs = [line for line in bill.releases[0].lines if line.item.startswith("transform")]
    assert [(line.where, line.usd) for line in jobs] == [("Stage / Batch", None)]


def test_an_unknown_computer_is_unknown_and_its_action_minutes_are_not(assembly):
    bill = estimate(assembly({"Builds": project("BUILD_GENERAL1_XLARGE"), "Pipeline": pipeline(build("Build"))}))

    assert amounts(bill) == {"CodeBuild general1.xlarge on LINUX_CONTAINER, 2 min": None, "CodePipeline, 2 min": 0.004}
    assert str(bill.month) == "at least $0.0160 plus 1 unknown"


def test_an_approval_costs_nothing_and_an_unknown_provider_is_unknown(assembly):
    bill = estimate(assembly({"Pipeline": pipeline(action("Ask", "Manual"), action("Run", "Mystery"))}))

    assert amounts(bill) == {"what Mystery does": None, "CodePipeline, 1 min": 0.002}


def test_a_project_and_a_stack_that_are_elsewhere_are_unknown(assembly):
    deploy = action("Deploy", "CloudFormation", StackName="theirs")

    bill = estimate(assembly({"Pipeline": pipeline(build("Build"), deploy)}))

    unknown = [line.unknown for line in bill.releases[0].lines if line.usd is None]
    assert unknown == ["its template is not in the assembly", "its project is not in the assembly"]


def test_the_template_that_a_build_brings_along_is_deployed_and_stands(assembly):
    deploy = action("Deploy", "CloudFormation", StackName="live-endpoint")
    resources = {"Builds": project(), "Pipeline": pipeline(build("Prepare"), deploy)}

    bill = estimate(assembly(resources, beside={"endpoint.template.json": {"Resources": endpoint(two_instances())}}))

    assert [line.where for line in bill.inventory.lines] == ["live / AllTraffic", "live / AllTraffic"]
    assert amounts(bill)["2 x ml.m5.large, while it replaces the old one"] == pytest.approx(2 * 0.115 / 4)


def test_a_shadow_of_one_release_costs_in_the_release_and_does_not_stand(assembly):
    shadow = {
        "Fn::If": [
            "Shadowed",
            [{**two_instances(), "VariantName": "Shadow", "InitialInstanceCount": 1}],
            {"Ref": "AWS::NoValue"},
        ]
    }
    template = {
        "Parameters": {"Shadowing": {"Type": "String", "Default": ""}},
        "Conditions": {"Shadowed": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Shadowing"}, ""]}]}},
        "Resources": {**endpoint(two_instances(), ShadowProductionVariants=shadow), "Scaled": SCALED},
    }
    resources = {"Builds": project(), "Pipeline": pipeline(build("Prepare"))}

    bill = estimate(assembly(resources, beside={"endpoint.template.json": template}))

    assert {line.where for line in bill.inventory.lines} == {"live / AllTraffic"}
    assert amounts(bill)["1 x ml.m5.large, while it shadows"] == pytest.approx(0.0575)
    assert bill.releases[0].waiting_minutes == 30
