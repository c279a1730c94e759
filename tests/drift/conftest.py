"""An account of moto's, and a scene in it."""

from __future__ import annotations

from functools import cache

import boto3
import pytest
from moto import mock_aws

from .scene import BUCKET, Scene


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """Whatever account the machine knows, no test can reach it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "SAGEMAKER_BASE_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def account():
    """An account of moto's, and what gives clients of it: to start one takes longer than most tests."""
    with mock_aws() as mock:
        yield mock, cache(lambda service: boto3.client(service, region_name="eu-central-1"))


@pytest.fixture
def scene(account):
    """A bucket in which nothing has happened yet."""
    mock, client = account
    mock.reset()
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return Scene(client)
