"""Alarms: the state that observed values put them in."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.cloud.alarm import Window
from cdk_ml_release.rehearsal.cloud.alarms import Alarms
from cdk_ml_release.rehearsal.cloud.gateway import Gateway
from cdk_ml_release.rehearsal.cloud.metrics import Metrics

NAMED = {"EndpointName": "live", "VariantName": "AllTraffic"}
DIMENSIONS = [{"Name": name, "Value": value} for name, value in NAMED.items()]
PLAIN = {
    "AlarmName": "a",
    "Namespace": "AWS/SageMaker",
    "MetricName": "m",
    "Dimensions": DIMENSIONS,
    "Period": 60,
    "EvaluationPeriods": 1,
    "Statistic": "Average",
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0.5,
}


@pytest.fixture
def watch():
    """A gateway with metrics and alarms behind it; puts values, and tells the state of an alarm."""
    gateway = Gateway("us-east-1")
    metrics = Metrics()
    alarms = Alarms(metrics, "us-east-1")
    gateway.services |= metrics.services() | alarms.services()

    class Watch:
        client = gateway.client("cloudwatch")

        def put(self, *values, name="m"):
            for value in values:
                metrics.put("AWS/SageMaker", name, NAMED, value)

        def look(self, window, guards=()):
            alarms.look_at("live", window, guards)

        def changes(self):
            return [(change.name, change.before[0], change.state) for change in alarms.changes()]

        def state(self, **changed):
            self.client.put_metric_alarm(
                **{key: value for key, value in (PLAIN | changed).items() if value is not None}
            )
            return self.client.describe_alarms(AlarmNames=["a"])["MetricAlarms"][0]["StateValue"]

    yield Watch()
    gateway.close()


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, "OK"),
        ({"Threshold": 0.3}, "ALARM"),
        ({"Statistic": "Sum", "Threshold": 3.0}, "OK"),
        ({"Statistic": "Sum", "Threshold": 3.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold"}, "ALARM"),
        ({"Statistic": "Maximum"}, "ALARM"),
        ({"Statistic": "SampleCount", "Threshold": 10, "ComparisonOperator": "LessThanThreshold"}, "ALARM"),
        ({"Statistic": None, "ExtendedStatistic": "p50"}, "OK"),
        ({"Statistic": None, "ExtendedStatistic": "p99"}, "ALARM"),
    ],
)
def test_a_threshold_is_compared_with_the_statistic_of_all_values(watch, changed, state):
    watch.put(0, 0, 0, 0, 0, 1, 1, 1)

    assert watch.state(**changed) == state


@pytest.mark.parametrize(
    ("treat", "state"),
    [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA"), ("ignore", "INSUFFICIENT_DATA")],
)
def test_missing_values_are_treated_as_declared(watch, treat, state):
    assert watch.state(TreatMissingData=treat) == state


@pytest.mark.parametrize(("passed", "state"), [(100, "OK"), (120, "ALARM")])
def test_an_alarm_goes_off_once_the_breach_is_as_long_as_the_periods_that_must_breach(watch, passed, state):
    watch.put(1, 1)
    watch.look(Window(0.0, passed))

    assert watch.state(EvaluationPeriods=3, DatapointsToAlarm=2) == state


def _metric(name):
    metric = {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": DIMENSIONS}
    return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}


MATHS = dict.fromkeys(("Namespace", "MetricName", "Dimensions", "Period", "Statistic"))


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        ("errors / calls", "OK"),
        ("100 * errors / calls", "ALARM"),
        ("IF(calls > 10, errors / calls, 1)", "ALARM"),
        ("FILL(nothing, 7)", "ALARM"),
        ("errors / (calls - 4)", "INSUFFICIENT_DATA"),
    ],
)
def test_an_expression_is_evaluated(watch, expression, state):
    watch.put(1, name="errors")
    watch.put(1, 1, 1, 1, name="calls")
    metrics = [_metric("errors"), _metric("calls"), _metric("nothing"), {"Id": "rate", "Expression": expression}]

    assert watch.state(**MATHS, Metrics=metrics) == state


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {**MATHS, "Metrics": [_metric("calls"), {"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(calls)"}]},
            "cannot evaluate the metric expression 'ANOMALY_DETECTION_BAND",
        ),
        ({**MATHS, "Metrics": [_metric("calls"), {"Id": "e", "Expression": "e + 1"}]}, "cannot evaluate"),
        ({"Statistic": None, "ExtendedStatistic": "tm99"}, "does not know the statistic 'tm99'"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "'a' compares with LessThanLowerThreshold"),
    ],
)
def test_refuses_what_it_cannot_evaluate_by_name(watch, changed, reason):
    with pytest.raises(ClientError, match=reason):
        watch.state(**changed)


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ('ALARM("a")', "ALARM"),
        ("ALARM(a) AND NOT OK(b)", "OK"),
        ("OK(a) OR (OK('b') AND TRUE)", "ALARM"),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:a)", "ALARM"),
    ],
)
def test_a_composite_alarm_follows_its_rule(watch, rule, state):
    watch.put(1)
    watch.state()
    watch.client.put_metric_alarm(**PLAIN | {"AlarmName": "b", "Threshold": 5})

    watch.client.put_composite_alarm(AlarmName="both", AlarmRule=rule)

    (both,) = watch.client.describe_alarms(AlarmNames=["both"])["CompositeAlarms"]
    assert both["StateValue"] == state


@pytest.mark.parametrize(
    ("rule", "reason"),
    [("ALARM(nobody)", "names nobody, which does not exist"), ("ALARM(a) XOR TRUE", "cannot be read")],
)
def test_refuses_a_rule_that_cannot_be_followed(watch, rule, reason):
    watch.state()

    with pytest.raises(ClientError, match=reason):
        watch.client.put_composite_alarm(AlarmName="both", AlarmRule=rule)


def test_values_that_a_program_puts_count_too(watch):
    datum = {"MetricName": "m", "Dimensions": DIMENSIONS, "Value": 2.0}
    watch.client.put_metric_data(Namespace="AWS/SageMaker", MetricData=[datum])

    assert watch.state() == "ALARM"


def test_a_dashboard_is_taken_and_shown_to_nobody(watch):
    body = json.dumps({"widgets": []})

    assert watch.client.put_dashboard(DashboardName="d", DashboardBody=body)["DashboardValidationMessages"] == []
    watch.client.delete_dashboards(DashboardNames=["d"])


def let_pass(**time):
    hours.pass_until(hours.now() + timedelta(**time))


@pytest.mark.parametrize(
    ("each_minute", "treat", "state"),
    [
        ([1, 1, 0], "missing", "ALARM"),
        ([1, 0, 0], "missing", "OK"),
        ([1, None, None], "missing", "ALARM"),
        ([1, None, None], "notBreaching", "OK"),
        ([1, None, 0], "breaching", "ALARM"),
        ([1, None, None], "ignore", "INSUFFICIENT_DATA"),
    ],
)
def test_so_many_of_the_last_periods_must_breach(watch, each_minute, treat, state):
    for number, value in enumerate(each_minute):
        let_pass(minutes=bool(number))
        watch.put(*([] if value is None else [value]))

    assert watch.state(EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData=treat) == state


def test_what_is_older_than_the_periods_of_an_alarm_does_not_count(watch):
    watch.put(1)
    assert watch.state() == "ALARM"

    let_pass(minutes=2)

    assert watch.state(TreatMissingData="notBreaching") == "OK"


def test_a_value_counts_at_the_time_that_its_program_gives_it(watch):
    datum = {"MetricName": "m", "Dimensions": DIMENSIONS, "Values": [2.0, 0.0], "Counts": [3, 1]}
    watch.client.put_metric_data(Namespace="AWS/SageMaker", MetricData=[datum | {"Timestamp": hours.now()}])
    assert watch.state(Statistic="SampleCount", Threshold=3) == "ALARM"

    old = datum | {"MetricName": "old", "Timestamp": hours.now() - timedelta(minutes=5)}
    watch.client.put_metric_data(Namespace="AWS/SageMaker", MetricData=[old])

    assert watch.state(MetricName="old", TreatMissingData="notBreaching") == "OK"


def test_a_change_of_state_is_told_once(watch):
    watch.put(1)
    watch.state()

    assert watch.changes() == [("a", "INSUFFICIENT_DATA", "ALARM")]
    assert watch.changes() == []
    let_pass(minutes=2)
    assert watch.changes() == [("a", "ALARM", "INSUFFICIENT_DATA")]


def test_only_the_alarms_of_an_update_look_at_what_it_looks_at(watch):
    metric = {"Namespace": "CdkMlRelease/Monitor", "MetricName": "Drift"}
    watch.client.put_metric_data(
        Namespace=metric["Namespace"], MetricData=[{"MetricName": "Drift", "Dimensions": DIMENSIONS, "Value": 1.0}]
    )
    watch.state(**metric)

    watch.look(Window(hours.moment()))
    assert watch.state(**metric) == "ALARM"
    watch.look(Window(hours.moment()), guards=["a"])
    assert watch.state(**metric) == "INSUFFICIENT_DATA"


def test_refuses_values_that_it_cannot_take_apart(watch):
    statistics = {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}

    with pytest.raises(ClientError, match="does not know StatisticValues"):
        watch.client.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "StatisticValues": statistics}])
