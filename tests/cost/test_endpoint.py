"""What an endpoint costs."""

import pytest

from cdk_ml_release.cost import Assumptions, estimate

from .conftest import a, endpoint, two_instances


def target(**properties):
    scaled = {
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": {"Fn::Join": ["", ["endpoint/", {"Ref": "Name"}, "/variant/AllTraffic"]]},
    }
    return a("AWS::ApplicationAutoScaling::ScalableTarget", **scaled, **properties)


def standing(bill):
    return [(line.item, line.usd, line.most_usd) for line in bill.inventory.lines]


def test_instances_and_their_volumes_stand_all_month(assembly):
    bill = estimate(assembly(endpoint(two_instances())))

    assert standing(bill) == [
        ("2 x ml.m5.large, 730 hours", pytest.approx(167.9), None),
        ("2 x volume of 30 GB", pytest.approx(8.4), None),
    ]


def test_an_unknown_instance_type_is_listed_as_unknown(assembly):
    bill = estimate(assembly(endpoint(two_instances("ml.x99.large"))))

    (line, _) = bill.inventory.lines
    assert (line.usd, line.item) == (None, "2 x ml.x99.large, 730 hours")
    assert line.unknown == "the table has no price of real-time inference on ml.x99.large"
    assert str(bill.standing) == "at least $8.40 plus 1 unknown"


def test_an_instance_with_a_disk_has_no_volume(assembly):
    bill = estimate(assembly(endpoint(two_instances("ml.g5.2xlarge"))))

    assert [line.item for line in bill.inventory.lines] == ["2 x ml.g5.2xlarge, 730 hours"]


def test_scaling_is_a_range_from_its_minimum_to_its_maximum(assembly):
    bill = estimate(assembly({**endpoint(two_instances()), "Target": target(MinCapacity=1, MaxCapacity=4)}))

    assert standing(bill)[0] == ("1 to 4 x ml.m5.large, 730 hours", pytest.approx(83.95), pytest.approx(335.8))
    assert str(bill.standing) == "$88.15 to $352.60"


def test_scheduled_limits_widen_the_range(assembly):
    night = {"ScalableTargetAction": {"MinCapacity": 0}}
    scaled = target(MinCapacity=1, MaxCapacity=2, ScheduledActions=[night])

    bill = estimate(assembly({**endpoint(two_instances()), "Target": scaled}))

    assert standing(bill)[0] == ("0 to 2 x ml.m5.large, 730 hours", 0, pytest.approx(167.9))


def test_a_limit_that_only_the_deployment_knows_is_unknown(assembly):
    scaled = target(MinCapacity={"Ref": "Least"}, MaxCapacity=2)

    bill = estimate(assembly({**endpoint(two_instances()), "Target": scaled}))

    assert [(line.usd, line.unknown) for line in bill.inventory.lines] == [(None, "only the deployment knows it")]


def test_a_serverless_endpoint_costs_by_its_requests(assembly):
    serverless = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}

    bill = estimate(assembly(endpoint(serverless)), Assumptions(requests=1000, request_seconds=0.5))

    assert standing(bill) == [("serverless, nothing while idle", 0, None)]
    assert bill.requests.usd == pytest.approx(1000 * 0.5 * 2 * 0.00002)


def test_provisioned_concurrency_is_unknown(assembly):
    serverless = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}}

    bill = estimate(assembly(endpoint(serverless)))

    assert bill.standing.unknown == 1


def test_asynchronous_inference_has_prices_of_its_own(assembly):
    bill = estimate(assembly(endpoint(two_instances(), AsyncInferenceConfig={"OutputConfig": {}})))

    assert bill.inventory.lines[0].unknown == "the table has no price of asynchronous inference on ml.m5.large"


def test_an_endpoint_whose_configuration_is_elsewhere_is_unknown(assembly):
    bill = estimate(assembly({"Endpoint": a("AWS::SageMaker::Endpoint", EndpointConfigName="theirs")}))

    assert [(line.where, line.usd) for line in bill.inventory.lines] == [("app / Endpoint", None)]
