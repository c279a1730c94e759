"""The alarms of a monitor, as they are declared, under what its jobs publish hour by hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdk_ml_release import DriftLimits, QualityGate, _monitor_alarms
from cdk_ml_release.rehearsal.cloud import hours

from .stage_hand import hand

RMSE = "regression_metrics.rmse.value"


class Watch:
    """A deployed monitor of hourly windows, whose jobs a test plays."""

    def __init__(self, stage_hand, limits):
        self.hand = stage_hand
        self.hand.deploy(_monitor_alarms.resources("live", limits, 3600))
        self.hour(Completed=1)

    def hour(self, metric="", **published):
        """An hour passes, and at its end a job publishes, or does not."""
        hours.pass_until(hours.now() + timedelta(hours=1))
        more = {"Metric": metric} if metric else {}
        for name, value in published.items():
            self.hand.metrics.put(_monitor_alarms.NAMESPACE, name, {"EndpointName": "live", **more}, value)
        self.hand.alarms.look()

    @property
    def ringing(self):
        found = self.hand.gateway.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]
        return sorted(each["AlarmName"].removeprefix("live-") for each in found)


@pytest.fixture
def watch():
    with hand() as opened:
        yield lambda **limits: Watch(opened, DriftLimits(**limits))


def test_nothing_rings_in_an_hour_like_the_baseline(watch):
    watch = watch()

    watch.hour(Completed=1, Records=300, DriftedFeatureShare=0.1, PredictionDrifted=0, Violations=0)

    assert watch.ringing == []


def test_a_monitor_whose_jobs_crash_is_down_after_two_windows_and_then_up_again(watch):
    watch = watch()

    watch.hour()
    after_one = watch.ringing
    watch.hour()
    after_two = watch.ringing
    watch.hour(Completed=1, Records=300)

    assert (after_one, after_two, watch.ringing) == ([], ["monitor-down"], [])


def test_drift_rings_until_a_window_says_otherwise_and_not_only_until_one_cannot_be_judged(watch):
    watch = watch()

    watch.hour(Completed=1, Records=300, DriftedFeatureShare=0.5)
    rang = watch.ringing
    watch.hour(Completed=1, Records=20)
    too_few = watch.ringing
    watch.hour(Completed=1, Records=300, DriftedFeatureShare=0.0)

    assert (rang, too_few, watch.ringing) == (["drift"], ["drift"], [])


def test_no_data_is_an_alarm_of_its_own(watch):
    watch = watch()

    watch.hour(Completed=1, Records=0)

    assert watch.ringing == ["no-data"]


def test_a_limit_on_quality_rings_when_labels_say_so(watch):
    watch = watch(quality=[QualityGate.at_most(RMSE, 3)])

    watch.hour(metric=RMSE, ModelQuality=3.4)

    assert "model-quality-1" in watch.ringing
