"""What the drift program knows from synth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime.contract import Gate
from cdk_ml_release.runtime.monitor_settings import MonitorSettings

RMSE = Gate(metric="regression_metrics.rmse.value", comparison="at_most", limit=2.5)
MAE = Gate(metric="regression_metrics.mae.value", comparison="at_most", limit=2.0)


@given(
    every_hours=st.integers(1, 168),
    alpha=st.floats(0.001, 0.5),
    drift_share=st.floats(0, 1),
    sample=st.integers(0, 10**9),
    quality=st.sampled_from([(), (RMSE,), (RMSE, MAE)]),
    topic_arn=st.sampled_from(["", "arn:aws:sns:eu-central-1:111122223333:findings"]),
)
def test_settings_survive_the_trip_through_the_environment(**chosen):
    settings = MonitorSettings(endpoint_name="abalone-production", bucket="artifacts", **chosen)

    environment = settings.to_environment()

    assert MonitorSettings.from_environment(environment) == settings
    assert all(0 < len(value) <= 256 for value in environment.values())


def test_what_is_not_in_the_environment_is_as_by_default():
    settings = MonitorSettings.from_environment({"ML_ENDPOINT_NAME": "abalone", "ML_BUCKET": "artifacts"})

    assert settings == MonitorSettings(endpoint_name="abalone", bucket="artifacts")


def test_refuses_when_the_endpoint_is_not_named():
    with pytest.raises(KeyError, match="ML_ENDPOINT_NAME"):
        MonitorSettings.from_environment({"ML_BUCKET": "artifacts"})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ML_ALPHA": "small"}, "'ML_ALPHA' must be JSON, got 'small'; deploy the monitor again"),
        ({"ML_ALPHA": "0"}, "'alpha' must be a number from 1e-09 to 0.5, got 0; 0.01 calls one window"),
        ({"ML_ALPHA": "NaN"}, "'alpha' must be a number from 1e-09 to 0.5, got nan"),
        ({"ML_EVERY_HOURS": "1.5"}, "'every_hours' must be a whole number from 1 to 168, got 1.5"),
        ({"ML_EVERY_HOURS": "true"}, "'every_hours' must be a whole number from 1 to 168, got True"),
        ({"ML_MINIMUM_RECORDS": "0"}, "'minimum_records' must be a whole number of at least 1, got 0"),
        ({"ML_DISTANCE": "-1"}, "'distance' must be a number of at least 1e-09, got -1"),
        ({"ML_DRIFT_SHARE": "30"}, "'drift_share' must be a number from 0 to 1, got 30; 0.3 is three features of ten"),
        ({"ML_SAMPLE": "-1"}, "'sample' must be a whole number of at least 0, got -1; 0 analyses every row"),
        ({"ML_LABEL_DAYS": "91"}, "'label_days' must be a whole number from 0 to 90, got 91"),
        ({"ML_QUALITY": "rmse"}, "'ML_QUALITY' must be JSON, got 'rmse'"),
        ({"ML_QUALITY": '["rmse"]'}, "'ML_QUALITY' must be a list of limits"),
        ({"ML_QUALITY": '[["rmse", "below", 2]]'}, "'ML_QUALITY' must be a list of limits"),
        ({"ML_QUALITY": "7"}, "'ML_QUALITY' must be a list of limits, got '7'"),
    ],
)
def test_refuses_when_a_setting_is_out_of_its_bounds(variables, message):
    with pytest.raises(ValueError, match=message):
        MonitorSettings.from_environment({"ML_ENDPOINT_NAME": "abalone", "ML_BUCKET": "artifacts", **variables})


def test_fails_when_a_limit_is_relative_to_the_model_in_service():
    relative = Gate(metric="regression_metrics.rmse.value", comparison="at_most", limit=0.1, current=True)

    with pytest.raises(ValueError, match="'quality' must be limits of their own, got 'regression_metrics"):
        MonitorSettings(endpoint_name="abalone", bucket="artifacts", quality=(relative,))


def test_fails_when_the_limits_are_too_many_for_a_job_to_be_told():
    with pytest.raises(ValueError, match="'quality' must fit into 256 characters, got 2"):
        MonitorSettings(endpoint_name="abalone", bucket="artifacts", quality=(RMSE, MAE) * 3)
