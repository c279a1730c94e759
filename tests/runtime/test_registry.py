"""The model registry and the release manifest."""

from dataclasses import replace

import pytest

from cdk_ml_release.runtime import registry, storage
from cdk_ml_release.runtime.contract import Manifest, StageFailed, endpoint_record_key

from .fakes import FakeSageMaker, Refused, played_by
from .samples import BUCKET, EXECUTION, IMAGE, MANIFEST_KEY, RUN, SETTINGS, VALUES

METRICS = {"regression_metrics.rmse.value": 2.0394}


def register(fake, s3, run=RUN, metrics=METRICS):
    """Register as the build does."""
    return registry.register(SETTINGS, run, metrics, sagemaker=played_by("sagemaker", fake), s3=s3)


class Failing:
    """An S3 that can be read, but not written to."""

    def __init__(self, s3):
        self._s3 = s3
        self.get_object = s3.get_object
        self.get_paginator = s3.get_paginator

    def put_object(self, **_):
        raise ConnectionError("the network is gone")


def test_a_model_becomes_a_version_that_waits_for_approval(s3):
    fake = FakeSageMaker()

    manifest = register(fake, s3)

    package = fake.packages[manifest.model_package_arn]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["InferenceSpecification"]["Containers"] == [{"Image": IMAGE, "ModelDataUrl": VALUES["ModelData"]}]
    assert package["MetadataProperties"] == {"CommitId": "c0ffee"}
    assert package["CustomerMetadataProperties"] == {
        "execution": EXECUTION,
        "data-version": "d474",
        "regression_metrics.rmse.value": "2.0394",
    }
    assert package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == manifest.evaluation_uri


def test_the_manifest_is_what_later_steps_read(s3):
    manifest = register(FakeSageMaker(), s3)

    assert Manifest.from_json(storage.read(s3, BUCKET, MANIFEST_KEY)) == manifest
    assert manifest.metrics == METRICS
    assert manifest.predictions_uri == f"s3://{BUCKET}/runs/{EXECUTION}/evaluation/predictions.jsonl"


def test_a_retry_registers_nothing_twice(s3):
    fake = FakeSageMaker()

    assert register(fake, s3) == register(fake, s3)
    assert len(fake.packages) == 1


def test_a_retry_finds_the_version_whose_manifest_was_not_written(s3):
    fake = FakeSageMaker()
    with pytest.raises(ConnectionError):
        register(fake, Failing(s3))

    manifest = register(fake, s3)

    assert list(fake.packages) == [manifest.model_package_arn]
    assert storage.read(s3, BUCKET, MANIFEST_KEY) is not None


def test_the_token_of_a_version_is_one_that_sagemaker_takes(s3):
    fake = FakeSageMaker()

    register(fake, s3)

    (token,) = fake.tokens
    assert len(token) == 36
    assert token.isalnum()


def test_a_registration_that_meets_another_one_is_tried_again(s3):
    fake = FakeSageMaker(refusals=[Refused("ConflictException", "the group is being modified")])

    assert register(fake, s3).model_package_arn in fake.packages


@pytest.mark.parametrize(
    "change", [{"data_version": "other"}, {"model_data": "s3://elsewhere/model.tar.gz"}, {"commit": "beef"}]
)
def test_refuses_to_register_another_model_in_the_same_execution(s3, change):
    fake = FakeSageMaker()
    arn = register(fake, s3).model_package_arn

    with pytest.raises(StageFailed, match=f"this execution has registered {arn} already, from other inputs: start a"):
        register(fake, s3, replace(RUN, **change))

    assert len(fake.packages) == 1


def test_refuses_other_metrics_than_those_that_were_registered(s3):
    fake = FakeSageMaker()
    register(fake, s3)

    with pytest.raises(StageFailed, match="from other inputs"):
        register(fake, s3, metrics={"rmse": 1.0})


def test_a_manifest_that_appears_at_the_last_moment_is_the_one(s3):
    fake = FakeSageMaker()
    create = fake.create_model_package
    other = FakeSageMaker(packages={"1": {}, "2": {}})

    def while_another_registers(**request):
        register(other, s3)
        return create(**request)

    fake.create_model_package = while_another_registers

    assert register(fake, s3).model_package_arn.endswith("/3")


def test_metrics_with_names_that_the_registry_does_not_take_are_told_under_similar_ones(s3):
    fake = FakeSageMaker()

    register(fake, s3, metrics={"f1 (macro)%": 0.5, "größe": 1.0, "x" * 200: 2.0})

    (package,) = fake.packages.values()
    assert package["CustomerMetadataProperties"] == {
        "execution": EXECUTION,
        "data-version": "d474",
        "f1 _macro__": "0.5",
        "größe": "1.0",
        "x" * 128: "2.0",
    }


def test_at_most_fifty_properties_are_told(s3):
    fake = FakeSageMaker()

    register(fake, s3, metrics={f"m{number}": 1.0 for number in range(60)})

    (package,) = fake.packages.values()
    assert len(package["CustomerMetadataProperties"]) == 50


def test_the_models_in_service_are_found_by_their_endpoint(s3):
    manifest = register(FakeSageMaker(), s3)
    s3.put_object(Bucket=BUCKET, Key=endpoint_record_key("abalone-production"), Body=manifest.to_json().encode())

    assert registry.in_service(s3, BUCKET) == {"abalone-production": manifest}


def test_nothing_is_in_service_at_first(s3):
    assert registry.in_service(s3, BUCKET) == {}
