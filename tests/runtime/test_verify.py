"""Check the released endpoint."""

import json

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime import predictions, storage, verify
from cdk_ml_release.runtime.contract import Manifest, StageFailed, endpoint_record_key

from .fakes import AT_ONCE, ONE_LOOK, FakeCloudFormation, FakeEndpoint, FakeSageMaker, Refused, played_by
from .samples import BUCKET, MANIFEST, MANIFEST_KEY, RELEASE_SETTINGS

RELEASE = "abalone-production-4c0f6c1e9a57-0a1b2c"
RECORD = endpoint_record_key(RELEASE_SETTINGS.endpoint_name)
IN_SERVICE = {"EndpointStatus": "InService", "EndpointConfigName": RELEASE}
PREDICTIONS = storage.split(MANIFEST.predictions_uri)[1]
ROWS = "".join(json.dumps({"input": str(n), "prediction": n * 2.5}) + "\n" for n in range(60))


def as_evaluated(body):
    """The model that was evaluated."""
    return str(float(body) * 2.5)


def skewed(body):
    """A model that is served without its preprocessing."""
    return str(float(body) * 25)


class Released:
    """An account after a deployment."""

    def __init__(self, s3, endpoint, looks=(IN_SERVICE,)):
        self.s3 = s3
        self.endpoint = endpoint
        self.sagemaker = FakeSageMaker(endpoints={RELEASE_SETTINGS.endpoint_name: list(looks)} if looks else {})
        self.stack = FakeCloudFormation(["CREATE_COMPLETE"])
        s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())
        s3.put_object(Bucket=BUCKET, Key=PREDICTIONS, Body=ROWS.encode())

    def verify(self, pace=AT_ONCE):
        actors = {"sagemaker": self.sagemaker, "sagemaker-runtime": self.endpoint, "cloudformation": self.stack}
        clients = {"s3": self.s3} | {service: played_by(service, actor) for service, actor in actors.items()}
        env = RELEASE_SETTINGS.to_environment() | {"ML_MANIFEST_KEY": MANIFEST_KEY, "ML_RELEASE_NAME": RELEASE}
        return verify.verify(env, clients.__getitem__, pace)

    def record(self):
        return storage.read(self.s3, BUCKET, RECORD)


def test_an_endpoint_that_predicts_as_evaluated_is_recorded(s3, capsys):
    account = Released(s3, FakeEndpoint(as_evaluated))

    exports = account.verify()

    assert exports == {}
    assert Manifest.from_json(account.record()) == MANIFEST
    assert account.stack.deleted == []
    assert f"{RELEASE} is in service, 50 predictions are as evaluated" in capsys.readouterr().out


def test_rows_are_asked_as_they_were_evaluated(s3):
    account = Released(s3, FakeEndpoint(lambda body: json.dumps({"predictions": [json.loads(body)[0][0]]})))
    row = {"input": [[3]], "prediction": 3, "content_type": "application/json"}
    s3.put_object(Bucket=BUCKET, Key=PREDICTIONS, Body=json.dumps(row).encode())

    account.verify()

    (request,) = account.endpoint.requests
    assert request == {
        "EndpointName": RELEASE_SETTINGS.endpoint_name,
        "ContentType": "application/json",
        "Accept": "application/json",
        "Body": b"[[3]]",
    }


def test_refuses_a_first_release_that_predicts_otherwise_and_takes_it_out_of_service(s3):
    account = Released(s3, FakeEndpoint(skewed))

    with pytest.raises(StageFailed) as caught:
        account.verify()

    assert str(caught.value) == (
        "the endpoint 'Abalone-production' predicts otherwise than the evaluation: to '1' it answers '25.0', evaluated "
        "was '2.5'; 49 of 50 rows differ, so training and serving do not prepare the data alike; taken out of service, "
        "for there was no release before: retry all actions of the stage"
    )
    assert account.stack.deleted == [RELEASE_SETTINGS.stack_name]
    assert account.record() is None


def test_refuses_a_later_release_that_predicts_otherwise_and_leaves_it_to_the_roll_back(s3):
    account = Released(s3, FakeEndpoint(skewed))
    s3.put_object(Bucket=BUCKET, Key=RECORD, Body=b"{}")

    with pytest.raises(StageFailed, match=r"prepare the data alike; going back to the release before$"):
        account.verify()

    assert account.stack.deleted == []
    assert account.record() == b"{}"


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ((IN_SERVICE | {"EndpointConfigName": "old"},), f"serves the configuration 'old', not '{RELEASE}'"),
        (({"EndpointStatus": "InService"},), "serves the configuration 'none', not"),
        (({"EndpointStatus": "Failed", "FailureReason": "no /ping"},), "is Failed, not InService: no /ping"),
        (({"EndpointStatus": "OutOfService"},), "is OutOfService, not InService: no reason given"),
        ((), "there is no endpoint 'Abalone-production': Could not find"),
    ],
)
def test_refuses_an_endpoint_that_is_not_what_was_requested(s3, looks, message):
    account = Released(s3, FakeEndpoint(as_evaluated), looks)

    with pytest.raises(StageFailed, match=message):
        account.verify()

    assert account.endpoint.requests == []


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_an_endpoint_that_is_changing_is_waited_for(s3, status):
    account = Released(s3, FakeEndpoint(as_evaluated), [{"EndpointStatus": status}] * 3 + [IN_SERVICE])

    account.verify()

    assert account.record() is not None


def test_refuses_to_wait_for_ever_for_an_endpoint(s3):
    account = Released(s3, FakeEndpoint(as_evaluated), [{"EndpointStatus": "Updating"}])

    with pytest.raises(StageFailed, match="is Updating, not InService"):
        account.verify(ONE_LOOK)


def test_refuses_a_release_without_evaluated_rows(s3):
    account = Released(s3, FakeEndpoint(as_evaluated))
    s3.delete_object(Bucket=BUCKET, Key=PREDICTIONS)

    with pytest.raises(StageFailed, match=r"no evaluated rows in s3://.*predictions.jsonl"):
        account.verify()


def replay(endpoint, retries=AT_ONCE, row=None):
    """Ask one evaluated row."""
    content = json.dumps(row or {"input": "2", "prediction": 5}).encode()
    verify.replay(played_by("sagemaker-runtime", endpoint), "e", predictions.read(content, "s3://b/p"), retries)


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ModelNotReadyException",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalDependencyException",
    ],
)
def test_a_fault_that_passes_is_waited_out(code):
    endpoint = FakeEndpoint(as_evaluated, refusals=[Refused(code), Refused(code)])

    replay(endpoint)

    assert len(endpoint.requests) == 3


def test_refuses_an_endpoint_that_never_gets_ready():
    endpoint = FakeEndpoint(as_evaluated, refusals=[Refused("ModelNotReadyException", "try later")] * 9)

    with pytest.raises(StageFailed, match="the endpoint 'e' does not answer: try later"):
        replay(endpoint, ONE_LOOK)


@pytest.mark.parametrize("code", ["ModelError", "ValidationError"])
def test_refuses_a_model_that_refuses_an_evaluated_row_at_once(code):
    endpoint = FakeEndpoint(as_evaluated, refusals=[Refused(code, "Received client error (400) from primary")])

    with pytest.raises(StageFailed, match=r"the endpoint 'e' refuses the evaluated row '2': Received client error"):
        replay(endpoint)

    assert len(endpoint.requests) == 1


def test_a_missing_right_is_not_the_models_fault():
    endpoint = FakeEndpoint(as_evaluated, refusals=[Refused("AccessDeniedException", "not allowed")])

    with pytest.raises(ClientError, match="not allowed"):
        replay(endpoint)


def test_refuses_a_long_row_with_a_short_message():
    row = {"input": "9" * 10_000, "prediction": [0.5] * 10_000}

    with pytest.raises(StageFailed) as caught:
        replay(FakeEndpoint(lambda body: body), row=row)

    assert len(str(caught.value)) < 1000


def test_answers_may_be_off_by_the_tolerance_of_their_row():
    replay(FakeEndpoint(lambda body: "5.001"), row={"input": "2", "prediction": 5.0, "tolerance": 0.001})
