"""Patience with AWS."""

import time
from itertools import islice, pairwise

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime import aws

from .fakes import AT_ONCE, ONE_LOOK


def answers(*codes):
    """A call that is refused with each code in turn, and then done."""
    left = list(codes)

    def call():
        if left:
            raise ClientError({"Error": {"Code": left.pop(0), "Message": "no"}}, "Call")
        return "done"

    return call


def test_the_first_look_is_at_once_and_the_pauses_grow():
    pace = aws.Pace(first_seconds=0.02, growth=2, longest_seconds=0.08)

    looks = list(islice(pace, 5))

    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert looks[0] < 0.02
    assert all(pause >= least for pause, least in zip(pauses, [0.02, 0.04, 0.08, 0.08], strict=True))


def test_looking_ends_when_the_time_is_over_with_one_last_look():
    started = time.monotonic()

    looks = list(aws.Pace(first_seconds=0.01, growth=1, limit_seconds=0.03))

    assert looks[-1] >= 0.03
    assert time.monotonic() - started < 1


def test_a_call_is_made_again_while_aws_is_busy():
    assert aws.retried(answers("ThrottlingException", "Throttling"), aws.BUSY, AT_ONCE) == "done"


def test_refuses_to_call_again_after_another_error():
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.retried(answers("ThrottlingException", "AccessDenied"), aws.BUSY, AT_ONCE)


def test_gives_up_when_the_time_is_over():
    with pytest.raises(ClientError, match="ThrottlingException"):
        aws.retried(answers(*["ThrottlingException"] * 3), aws.BUSY, ONE_LOOK)


def test_clients_retry_alike_whatever_the_defaults_of_the_installed_boto3_are():
    config = aws.client("sagemaker-runtime").meta.config

    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] > 3
    assert config.read_timeout > 60


def test_an_error_says_what_it_is_even_without_a_message():
    error = ClientError({"Error": {"Code": "Nameless"}}, "Call")

    assert aws.code(error) == "Nameless"
    assert "Nameless" in aws.message(error)
