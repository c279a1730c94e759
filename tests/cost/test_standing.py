"""What stands in a month."""

import pytest

from cdk_ml_release.cost import estimate

from .conftest import a, endpoint, pipeline, two_instances


def lines(bill):
    return [(line.item, line.usd) for line in bill.inventory.lines]


def test_an_unknown_resource_type_is_listed_as_unknown(assembly):
    bill = estimate(assembly({"Table": a("AWS::DynamoDB::Table"), "Key": a("AWS::KMS::Key")}))

    assert lines(bill) == [("1 x AWS::DynamoDB::Table", None), ("1 x AWS::KMS::Key", 1.0)]
    assert str(bill.standing) == "at least $1.00 plus 1 unknown"


def test_another_region_is_unknown_and_nothing_of_it_is_zero(assembly):
    bill = estimate(assembly({"Key": a("AWS::KMS::Key"), **endpoint(two_instances())}, region="eu-west-1"))

    assert bill.regions == ["eu-west-1"]
    assert not bill.region_assumed
    assert {line.usd for line in bill.inventory.lines} == {None}
    assert "no prices of eu-west-1" in bill.inventory.lines[0].unknown


def test_an_assembly_for_any_region_is_priced_where_the_table_has_prices_and_says_so(assembly):
    bill = estimate(assembly({"Key": a("AWS::KMS::Key")}, region="unknown-region"))

    assert (bill.regions, bill.region_assumed) == (["us-east-1"], True)
    assert bill.standing.usd == 1


def test_what_is_free_and_what_is_paid_by_use_is_named_and_in_no_total(assembly):
    bill = estimate(assembly({"Role": a("AWS::IAM::Role"), "Topic": a("AWS::SNS::Topic")}))

    assert bill.inventory.free == {"AWS::IAM::Role": 1}
    assert list(bill.inventory.by_use) == ["AWS::SNS::Topic"]
    assert bill.inventory.lines == []


def test_every_metric_of_an_alarm_is_paid(assembly):
    metrics = [{"MetricStat": {"Period": 60}}, {"MetricStat": {"Period": 60}}, {"Expression": "m1 / m2"}]

    bill = estimate(
        assembly({"Rate": a("AWS::CloudWatch::Alarm", Metrics=metrics), "Fast": a("AWS::CloudWatch::Alarm", Period=10)})
    )

    assert lines(bill) == [("1 x alarm metric, high resolution", 0.3), ("2 x alarm metric, standard", 0.2)]


def test_target_tracking_makes_two_alarms(assembly):
    bill = estimate(
        assembly({"Policy": a("AWS::ApplicationAutoScaling::ScalingPolicy", PolicyType="TargetTrackingScaling")})
    )

    assert lines(bill) == [("2 x alarm that target tracking makes", 0.2)]


@pytest.mark.parametrize(("kind", "is_free"), [("Gateway", True), ("Interface", False)])
def test_a_vpc_endpoint_is_free_if_it_is_a_gateway(assembly, kind, is_free):
    bill = estimate(assembly({"Vpce": a("AWS::EC2::VPCEndpoint", VpcEndpointType=kind)}))

    assert ("AWS::EC2::VPCEndpoint" in bill.inventory.free) is is_free
    assert (bill.standing.unknown == 0) is is_free


def test_a_pipeline_of_the_first_type_is_paid_by_the_month_and_not_by_the_minute(assembly):
    bill = estimate(assembly({"Pipeline": pipeline(pipeline_type="V1")}))

    assert lines(bill) == [("1 x pipeline of type V1", 1.0)]
    assert bill.releases[0].lines == []


def test_a_nested_stack_and_a_stage_are_part_of_the_app(assembly):
    folder = assembly({"Nested": {"Type": "AWS::CloudFormation::Stack", "Metadata": {"aws:asset:path": "nested.json"}}})
    (folder / "nested.json").write_text('{"Resources": {"Key": {"Type": "AWS::KMS::Key"}}}')
    outer = folder.parent / "outer"
    outer.mkdir()
    stage = '{"artifacts": {"stage": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "../cdk.out"}}}}'
    (outer / "manifest.json").write_text(stage)

    assert lines(estimate(outer)) == [("1 x AWS::KMS::Key", 1.0)]
