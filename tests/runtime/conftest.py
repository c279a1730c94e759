"""A bucket to work in, and a clean environment."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from .samples import BUCKET


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """Whatever account the machine knows, no test can reach it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def account():
    """An account of moto's, and a client of its S3: to start one takes longer than most tests.

    It ends with the module, for while it is there no test of this process reaches any other AWS.
    """
    with mock_aws() as mock:
        client = boto3.client("s3", region_name="eu-central-1")
        yield mock, client


@pytest.fixture
def s3(account):
    """A client of an S3 that has the artifact bucket and nothing else."""
    mock, client = account
    mock.reset()
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client
