"""Asynchronous endpoints: a queue before the fleet, results and failures in S3."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from botocore.exceptions import ClientError

from .served import BUCKET, open_account, until
from .serving import serve

NAMES = itertools.count()
SLOW = serve(
    """
    global busy, most
    with lock:
        busy += 1
        most = max(most, busy)
    time.sleep(0.2)
    with lock:
        busy -= 1
    self.answer(str(most))
    """,
    start="lock, busy, most = threading.Lock(), 0, 0",
)


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with open_account(tmp_path_factory.mktemp("account")) as opened:
        role = opened.role("model")
        opened.model("tiny", role)
        opened.model("slow", role, {"serve": SLOW})
        yield opened


@pytest.fixture
def topics(account):
    """Topics for good and for bad news, and what arrives at them."""
    sns, sqs, name = account.aws("sns"), account.aws("sqs"), f"topic-{next(NAMES)}"
    made = {}
    for kind in ("Success", "Error"):
        topic = sns.create_topic(Name=f"{name}-{kind}")["TopicArn"]
        queue = sqs.create_queue(QueueName=f"{name}-{kind}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        made[kind] = topic, queue

    def news(kind):
        found = until(lambda: sqs.receive_message(QueueUrl=made[kind][1]).get("Messages"))
        return json.loads(json.loads(found[0]["Body"])["Message"])

    return {"SuccessTopic": made["Success"][0], "ErrorTopic": made["Error"][0]}, news


@pytest.fixture
def endpoint(account):
    """Makes an asynchronous endpoint of the test's own, and deletes it after the test."""
    name = f"endpoint-{next(NAMES)}"
    sagemaker = account.aws("sagemaker")

    def made(model="tiny", *, count=1, asynchronous=True, topics=None, concurrent=None, **output):
        variant = {
            "VariantName": "All",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
        }
        paths = {"S3OutputPath": f"s3://{BUCKET}/{name}/out", "S3FailurePath": f"s3://{BUCKET}/{name}/bad"} | output
        settings = {"OutputConfig": paths | ({"NotificationConfig": topics} if topics else {})}
        if concurrent:
            settings["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": concurrent}
        chosen = {"AsyncInferenceConfig": settings} if asynchronous else {}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **chosen)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Creating")
        return name

    yield made
    if any(each["EndpointName"] == name for each in _endpoints(account, name)):
        sagemaker.delete_endpoint(EndpointName=name)


def _endpoints(account, name):
    try:
        return [account.aws("sagemaker").describe_endpoint(EndpointName=name)]
    except ClientError:
        return []


def ask(account, endpoint, text, **how):
    """Queue a request; returns the answer to that."""
    uri = how.pop("uri", None) or account.put(f"{endpoint}/in/{time.monotonic_ns()}", text)
    runtime = account.aws("sagemaker-runtime")
    return runtime.invoke_endpoint_async(EndpointName=endpoint, InputLocation=uri, ContentType="text/csv", **how)


def result(account, queued):
    """The result of a request, once it is there."""
    return until(lambda: account.read(queued["OutputLocation"]))


def test_a_result_arrives_under_the_output_path_and_good_news_at_its_topic(account, endpoint, topics):
    declared, news = topics
    name = endpoint(topics=declared | {"IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]})

    queued = ask(account, name, "1.0\n2.0", InferenceId="mine")

    assert queued["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert queued["InferenceId"] == "mine"
    assert queued["OutputLocation"] == f"s3://{BUCKET}/{name}/out/mine.out"
    assert result(account, queued) == "3.0\n5.0"
    told = news("Success")
    assert (told["invocationStatus"], told["inferenceId"]) == ("Completed", "mine")
    assert told["responseParameters"]["outputLocation"] == queued["OutputLocation"]
    assert told["inferenceResponse"] == "3.0\n5.0"


def test_a_bad_record_lands_under_the_failure_path_and_loses_nothing_else(account, endpoint, topics):
    declared, news = topics
    name = endpoint(topics=declared)

    before, bad, after = (ask(account, name, text) for text in ("1.0", "broken", "2.0"))

    assert bad["FailureLocation"].startswith(f"s3://{BUCKET}/{name}/bad/")
    assert "could not convert string to float" in until(lambda: account.read(bad["FailureLocation"]))
    assert result(account, before) == "3.0"
    assert result(account, after) == "5.0"
    assert account.read(bad["OutputLocation"]) is None
    told = news("Error")
    assert told["invocationStatus"] == "Failed"
    assert "Received error (400) from the container" in told["failureReason"]
    assert told["requestParameters"]["endpointName"] == name


def test_a_request_without_its_object_fails(account, endpoint):
    queued = ask(account, endpoint(), "", uri=f"s3://{BUCKET}/nowhere")

    assert "NoSuchKey" in until(lambda: account.read(queued["FailureLocation"]))


@pytest.mark.parametrize("limit", [1, 3])
def test_an_instance_is_asked_no_more_at_a_time_than_it_may(account, endpoint, limit):
    name = endpoint("slow", concurrent=limit)

    queued = [ask(account, name, "1") for _ in range(8)]

    assert max(int(result(account, each)) for each in queued) == limit


def scale(account, name, count):
    sagemaker = account.aws("sagemaker")
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "All", "DesiredInstanceCount": count}]
    )
    until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")


def test_without_instances_the_queue_waits_until_there_is_one(account, endpoint):
    name = endpoint()
    scale(account, name, 0)
    queued = [ask(account, name, f"{number}.0") for number in (1, 2)]
    time.sleep(0.5)
    assert account.keys(f"{name}/out/") == []

    scale(account, name, 1)

    assert [result(account, each) for each in queued] == ["3.0", "5.0"]


def test_results_may_have_names_and_folders_of_their_own(account, endpoint):
    queued = ask(account, endpoint(), "1.0", S3OutputPathExtension="today", Filename="one.csv")

    assert queued["OutputLocation"].endswith("/out/today/one.csv")
    assert result(account, queued) == "3.0"


def test_the_role_of_the_model_is_who_writes(account, endpoint, topics):
    declared, news = topics
    reads = ["s3:GetObject", "s3:ListBucket", "ecr:*", "sns:Publish"]
    role = account.role("reader", {"Effect": "Allow", "Action": reads, "Resource": "*"})
    account.model("unwritten", role)

    ask(account, endpoint("unwritten", topics=declared), "1.0")

    assert "role reader is not allowed s3:PutObject" in news("Error")["failureReason"]


def test_an_endpoint_fails_whose_role_may_not_publish_to_its_topics(account, endpoint, topics):
    silent = {"Effect": "Allow", "Action": ["s3:*", "ecr:*"], "Resource": "*"}
    account.model("silent", account.role("silent", silent))

    name = endpoint("silent", topics=topics[0])

    found = account.aws("sagemaker").describe_endpoint(EndpointName=name)
    assert found["EndpointStatus"] == "Failed"
    assert f"it needs sns:Publish for topic '{topics[0]['SuccessTopic']}'" in found["FailureReason"]


def test_an_asynchronous_endpoint_does_not_answer_at_once(account, endpoint):
    name = endpoint()

    with pytest.raises(ClientError, match="is asynchronous: use InvokeEndpointAsync"):
        account.aws("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"1.0")


def test_an_endpoint_that_answers_at_once_has_no_queue(account, endpoint):
    name = endpoint(asynchronous=False)

    with pytest.raises(ClientError, match="has no AsyncInferenceConfig"):
        ask(account, name, "1.0")


def test_only_who_may_invoke_the_endpoint_can_queue_a_request(account, endpoint):
    name = endpoint()
    role = account.role("stranger", {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"})

    with pytest.raises(ClientError, match=f"not allowed sagemaker:InvokeEndpointAsync on .*endpoint/{name}"):
        account.gateway.client("sagemaker-runtime", role).invoke_endpoint_async(
            EndpointName=name, InputLocation=f"s3://{BUCKET}/x"
        )
