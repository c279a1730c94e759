"""Check the released endpoint."""

import json
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime import predictions, storage, verify
from cdk_ml_release.runtime.asking import AtOnce
from cdk_ml_release.runtime.contract import Manifest, StageFailed, endpoint_record_key
from cdk_ml_release.runtime.in_service import Record

from .fakes import (
    AT_ONCE,
    ONE_LOOK,
    FakeCloudFormation,
    FakeEndpoint,
    FakeEndpointLog,
    FakeSageMaker,
    Refused,
    played_by,
)
from .samples import BUCKET, MANIFEST, MANIFEST_KEY, RELEASE_SETTINGS

RELEASE = "abalone-production-4c0f6c1e9a57-0a1b2c"
RECORD = endpoint_record_key(RELEASE_SETTINGS.endpoint_name)
TEMPLATE = {"Parameters": {"ReleaseName": {}, "Updates": {}, "Versions": {}}}
VERSIONS = "arn:aws:sagemaker:eu-central-1:111122223333:model-package/abalone"
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
        self.stack = FakeCloudFormation(["CREATE_COMPLETE"], parameters={"ReleaseName": RELEASE}, template=TEMPLATE)
        self.log = FakeEndpointLog([[["starting", "loaded the model"]]])
        s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())
        s3.put_object(Bucket=BUCKET, Key=PREDICTIONS, Body=ROWS.encode())

    def verify(self, pace=AT_ONCE):
        actors = {"sagemaker": self.sagemaker, "sagemaker-runtime": self.endpoint, "cloudformation": self.stack}
        actors |= {"logs": self.log}
        clients = {"s3": self.s3} | {service: played_by(service, actor) for service, actor in actors.items()}
        env = RELEASE_SETTINGS.to_environment() | {"ML_MANIFEST_KEY": MANIFEST_KEY, "ML_RELEASE_NAME": RELEASE}
        return verify.verify(env, clients.__getitem__, pace)

    def record(self):
        content = storage.read(self.s3, BUCKET, RECORD)
        return Record.from_json(content) if content is not None else None

    def served_before(self, version=1, release="abalone-production-old", template=TEMPLATE):
        """A release was verified before this one; the stack is updated when it is gone back to."""
        before = Record(
            manifest=replace(MANIFEST, model_package_arn=f"{VERSIONS}/{version}"),
            template=json.dumps(template) if template else "",
            parameters={"ReleaseName": release, "Updates": "no", "Versions": '[{"label": "version 1", "value": "t"}]'},
        )
        self.s3.put_object(Bucket=BUCKET, Key=RECORD, Body=before.to_json().encode())
        self.stack.before = ["UPDATE_COMPLETE"]
        return before


def test_an_endpoint_that_predicts_as_evaluated_is_recorded(s3, capsys):
    account = Released(s3, FakeEndpoint(as_evaluated))

    exports = account.verify()

    assert exports == {}
    record = account.record()
    assert record == Record(manifest=MANIFEST, template=json.dumps(TEMPLATE), parameters={"ReleaseName": RELEASE})
    assert Manifest.from_json(record.to_json()) == MANIFEST, "who only wants the manifest may read the record"
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
        "was '2.5'; to '2' it answers '50.0', evaluated was '5.0'; to '3' it answers '75.0', evaluated was '7.5'; "
        "49 of 50 rows differ, so training and serving do not prepare the data alike; its log ends: starting | "
        "loaded the model; taken out of service, for there was no release before: retry all actions of the stage"
    )
    assert account.stack.deleted == [RELEASE_SETTINGS.stack_name]
    assert account.record() is None


def test_refuses_a_later_release_that_predicts_otherwise_and_puts_the_one_before_back(s3):
    account = Released(s3, FakeEndpoint(skewed))
    before = account.served_before()

    with pytest.raises(StageFailed, match=r"loaded the model; version 1 is back in service, to which the stage rolls"):
        account.verify()

    (update,) = account.stack.updates
    assert update["StackName"] == RELEASE_SETTINGS.stack_name
    assert json.loads(update["TemplateBody"]) == TEMPLATE
    assert "RoleARN" not in update, "CloudFormation updates with the role that it deployed with"
    # The endpoint exists by now, whatever it was when that release was made.
    assert account.stack.parameters | {"Versions": ""} == {**before.parameters, "Updates": "yes", "Versions": ""}
    assert '"version 1"' in account.stack.parameters["Versions"], "the dashboard shows when it came back"
    assert account.stack.deleted == []
    assert account.record() == before


def test_going_back_to_what_is_there_already_changes_nothing(s3):
    account = Released(s3, FakeEndpoint(skewed))
    account.served_before()
    account.stack.refusals = [Refused("ValidationError", "No updates are to be performed.")]

    with pytest.raises(StageFailed, match="version 1 is back in service"):
        account.verify()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            {"refusals": [Refused("ValidationError", "Parameters: [Gone] do not exist in the template")]},
            r"going back to version 1 is left to the stage's roll-back, for Parameters: \[Gone\] do not exist",
        ),
        (
            {"before": ["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]},
            "left to the stage's roll-back, for the stack 'abalone-production-endpoint' is UPDATE_ROLLBACK_COMPLETE",
        ),
        (
            {"before": ["UPDATE_ROLLBACK_FAILED"]},
            "left to the stage's roll-back, for the stack .* continue its roll-back in CloudFormation",
        ),
    ],
    ids=["refused", "rolled back itself", "stuck"],
)
def test_a_way_back_that_is_blocked_does_not_hide_why_it_was_taken(s3, broken, message):
    account = Released(s3, FakeEndpoint(skewed))
    account.served_before()
    for name, value in broken.items():
        setattr(account.stack, name, value)

    with pytest.raises(StageFailed, match=f"predicts otherwise than the evaluation: .*{message}"):
        account.verify()


def test_the_record_of_an_early_version_leaves_going_back_to_the_stage(s3):
    account = Released(s3, FakeEndpoint(skewed))
    s3.put_object(Bucket=BUCKET, Key=RECORD, Body=MANIFEST.to_json().encode())

    with pytest.raises(StageFailed, match="left to the stage's roll-back, for its record does not tell how it was"):
        account.verify()

    assert account.stack.updates == []


def test_a_release_that_was_good_before_and_no_longer_is_has_nothing_to_go_back_to(s3):
    account = Released(s3, FakeEndpoint(skewed))
    account.served_before(release=RELEASE)

    with pytest.raises(StageFailed, match="this was the release in service before, version 1: release another version"):
        account.verify()

    assert (account.stack.updates, account.stack.deleted) == ([], [])


def test_the_record_remembers_which_version_served_before(s3):
    account = Released(s3, FakeEndpoint(as_evaluated))
    account.served_before(version=7)

    account.verify()
    # Once more, as a roll-back of the stage does: the version before is still the other one.
    account.verify()

    assert account.record().manifest == MANIFEST
    assert account.record().before == f"{VERSIONS}/7"


def test_only_the_end_of_the_log_is_told_and_no_long_line_of_it(s3):
    account = Released(s3, FakeEndpoint(skewed))
    account.log = FakeEndpointLog(
        [[[]], [["one", "two", " ", "GET /ping 200"], ["three", "x" * 5000, "five\n", "six"]]]
    )

    with pytest.raises(StageFailed, match=rf"; its log ends: two \| three \| {'x' * 200} \| five \| six; taken out"):
        account.verify()


def test_requests_that_were_answered_do_not_crowd_the_reason_out(s3):
    account = Released(s3, FakeEndpoint(skewed))
    served = ['127.0.0.1 - - [23/Nov/2026 02:03:14] "POST /invocations HTTP/1.1" 200 -'] * 50
    failed = '"POST /invocations HTTP/1.1" 500 -'
    account.log = FakeEndpointLog([[["the scaler is missing", "Exception on /invocations", failed, *served]]])

    with pytest.raises(StageFailed) as refusal:
        account.verify()

    assert f"; its log ends: the scaler is missing | Exception on /invocations | {failed}; taken out" in str(
        refusal.value
    )


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_log_that_cannot_be_read_does_not_hide_the_reason(s3, code):
    account = Released(s3, FakeEndpoint(skewed))
    account.log = FakeEndpointLog(refusals=[Refused(code)] * 9)

    with pytest.raises(StageFailed, match="do not prepare the data alike; taken out of service"):
        account.verify()


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
    ask = AtOnce(runtime=played_by("sagemaker-runtime", endpoint), endpoint_name="e", retries=retries)
    verify.replay(ask, "e", predictions.read(content, "s3://b/p"))


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
