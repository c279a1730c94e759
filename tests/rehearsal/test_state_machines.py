"""State machines: declared, refused by name, and run state by state with their own role."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed

from .stage_hand import hand

SDK = "arn:aws:states:::aws-sdk"
SEND = f"{SDK}:sqs:sendMessage"


def machine(states, *, start=None, **more):
    return {"QueryLanguage": "JSONata", "StartAt": start or next(iter(states)), "States": states, **more}


def task(resource=SEND, **more):
    return {"Type": "Task", "Resource": resource, "End": True, **more}


class Works:
    """A machine called "works", and the queue that it may send to."""

    def __init__(self, stage_hand):
        self.hand = stage_hand
        self.client = stage_hand.gateway.client("stepfunctions")
        self.queue = stage_hand.gateway.client("sqs").create_queue(QueueName="q")["QueueUrl"]

    def declare(self, definition, *, actions=("sqs:SendMessage",), service="states.amazonaws.com", **changed):
        properties = {
            "StateMachineName": "works",
            "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            "DefinitionString": json.dumps(definition),
            "DefinitionSubstitutions": {"Queue": self.queue},
            **changed,
        }
        properties = {key: value for key, value in properties.items() if value is not None}
        made = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        return self.hand.deploy({"Role": self.hand.role(service, *actions), "Machine": made})

    def run(self, definition, given=None, **changed):
        self.declare(definition, **changed)
        return self.start(given)

    def start(self, given=None, **more):
        arn = "arn:aws:states:us-east-1:123456789012:stateMachine:works"
        started = self.client.start_execution(stateMachineArn=arn, input=json.dumps(given or {}), **more)
        return self.look(started["executionArn"])

    def look(self, arn):
        return self.client.describe_execution(executionArn=arn)

    def sent(self):
        answer = self.hand.gateway.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", ())]


@pytest.fixture
def works():
    with hand() as opened:
        yield Works(opened)


def test_states_hand_on_what_they_make_of_their_input(works):
    states = {
        "Measure": {
            "Type": "Pass",
            "Assign": {"height": "{% $states.input.waves * 2 %}"},
            "Output": {"was": "{% $states.input %}"},
            "Next": "Judge",
        },
        "Judge": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $height > 9 %}", "Next": "Flee"},
                {"Condition": "{% $height > 3 %}", "Next": "Stay", "Assign": {"mood": "wary"}},
            ],
            "Default": "Flee",
        },
        "Stay": {"Type": "Succeed", "Output": "{% [$mood, $states.input.was.waves, $states.context.State.Name] %}"},
        "Flee": {"Type": "Fail", "Error": "Storm", "Cause": "{% 'waves of ' & $string($height) %}"},
    }

    calm, storm = works.run(machine(states), {"waves": 2}), works.start({"waves": 5})

    assert (calm["status"], json.loads(calm["output"])) == ("SUCCEEDED", ["wary", 2, "Stay"])
    assert (storm["status"], storm["error"]) == ("FAILED", "Storm")
    assert works.hand.said("failure") == [
        "state machine works for a call of StartExecution FAILED: Measure → Judge → Flee: "
        "Storm: state 'Flee': waves of 10"
    ]


def test_a_task_calls_with_the_machines_role_and_gets_names_with_capitals(works):
    send = task(
        Arguments={"QueueUrl": "${Queue}", "MessageBody": "{% $states.input.word %}"},
        Output="{% $length($states.result.MessageId) %}",
    )

    ended = works.run(machine({"Send": send}), {"word": "ahoy"})

    assert (ended["status"], ended["output"]) == ("SUCCEEDED", "36")
    assert works.sent() == ["ahoy"]


def test_times_in_a_result_are_texts(works):
    named = {"PipelineName": "line", "MaxResults": 100.0}
    read = task(f"{SDK}:codepipeline:listPipelineExecutions", Arguments=named)
    works.hand.build_line().start("CreatePipeline")

    ended = works.run(machine({"Read": read}), actions=["codepipeline:ListPipelineExecutions"])

    (execution,) = json.loads(ended["output"])["PipelineExecutionSummaries"]
    assert (execution["Status"], execution["Trigger"]["TriggerType"]) == ("Succeeded", "CreatePipeline")
    assert execution["StartTime"][10] == "T" and execution["StartTime"].endswith("Z")


def test_an_error_has_the_name_that_the_sdk_for_java_gives_it(works):
    start = task(f"{SDK}:codepipeline:startPipelineExecution", Arguments={"Name": "nobodys"})

    ended = works.run(machine({"Start": start}), actions=["codepipeline:*"])

    assert ended["error"] == "CodePipeline.PipelineNotFoundException"


@pytest.mark.parametrize(
    ("arguments", "actions", "error", "cause"),
    [
        ({"QueueUrl": "${Queue}"}, ["sqs:*"], "States.Runtime", 'Missing required parameter in input: "MessageBody"'),
        ({"queueUrl": "q"}, ["sqs:*"], "States.Runtime", "the argument 'queueUrl' of SendMessage is not one of"),
        (
            {"QueueUrl": "${Queue}", "MessageBody": "."},
            ["sqs:Purge"],
            "Sqs.SqsException",
            "not allowed sqs:SendMessage",
        ),
        ({"QueueUrl": "{% $url %}"}, ["sqs:*"], "States.QueryEvaluationError", "'{% $url %}' returned nothing"),
    ],
)
def test_a_task_that_fails_is_told_with_its_reason(works, arguments, actions, error, cause):
    ended = works.run(machine({"Send": task(Arguments=arguments)}), actions=actions)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert cause in ended["cause"]
    (text,) = works.hand.said("failure")
    assert cause in text


def test_a_failure_is_caught_by_its_name(works):
    caught = {"ErrorEquals": ["Sqs.SqsException"], "Next": "Rest", "Output": "{% $states.errorOutput.Error %}"}
    send = task(
        Arguments={"QueueUrl": "${Queue}", "MessageBody": "."},
        Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}],
        Catch=[{"ErrorEquals": ["Other"], "Next": "Send"}, caught],
    )

    ended = works.run(machine({"Send": send, "Rest": {"Type": "Succeed"}}), actions=["sqs:Purge"])

    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", "Sqs.SqsException")


def test_a_wait_lasts_until_the_rehearsals_time_has_come(works):
    states = {
        "Rest": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "Next": "Again"},
        "Again": {"Type": "Wait", "Seconds": 60, "Output": "rested", "End": True},
    }
    arn = works.run(machine(states), {"seconds": 900})["executionArn"]
    machines = works.hand.machines

    assert not machines.wake(hours.now() + timedelta(seconds=890))
    assert 890 < (machines.next_due() - hours.now()).total_seconds() <= 900
    hours.pass_until(machines.next_due())
    assert machines.wake(hours.now())
    assert works.look(arn)["status"] == "RUNNING"
    hours.pass_until(machines.next_due())
    machines.wake(hours.now())

    assert (works.look(arn)["status"], works.look(arn)["output"]) == ("SUCCEEDED", '"rested"')
    assert machines.waiting() == []


def test_an_execution_that_takes_too_long_times_out(works):
    definition = machine({"Rest": {"Type": "Wait", "Seconds": 900, "End": True}}, TimeoutSeconds=600)
    arn = works.run(definition)["executionArn"]

    hours.pass_until(works.hand.machines.next_due())
    works.hand.machines.wake(hours.now())

    assert works.look(arn)["status"] == "TIMED_OUT"


def test_states_that_go_in_circles_are_stopped(works):
    ended = works.run(machine({"Round": {"Type": "Pass", "Next": "Round"}}))

    assert (ended["status"], "without a wait" in ended["cause"]) == ("FAILED", True)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, "'QueryLanguage' .* must be 'JSONata' .*'JSONPath'"),
        (machine({"A": {"Type": "Succeed"}}, start="B"), "'StartAt' must be one of the states, got 'B'"),
        (machine({"A": {"Type": "Map"}}), "the state 'A' has the type 'Map'; the rehearsal knows Choice, Fail"),
        (machine({"A": {"Type": "Pass", "Next": "B"}}), "'A' goes on to 'B', which is no state"),
        (machine({"A": {"Type": "Pass"}}), "'A' needs 'Next' or 'End', and only one"),
        (
            machine({"A": {"Type": "Pass", "End": True, "Parameters": {}}}),
            "does not know 'Parameters' of the state 'A'",
        ),
        (machine({"A": {"Type": "Wait", "End": True}}), "needs 'Seconds' or 'Timestamp'"),
        (machine({"A": task("arn:aws:states:::lambda:invoke")}), "'A': the rehearsal calls .*, not .*lambda:invoke"),
        (machine({"A": task(f"{SDK}:sqs:sing")}), "'A': the rehearsal knows no operation sqs:sing"),
        (machine({"A": task(HeartbeatSeconds=1)}), "does not know 'HeartbeatSeconds'"),
        (machine({"A": task(Arguments={"a": "{% ( %}"})}), r"'A': the expression '{% \( %}' cannot be read"),
        (machine({"A": {"Type": "Choice", "Choices": [{"Next": "A"}]}}), "needs an expression as its 'Condition'"),
        (machine({"A": {"Type": "Succeed"}}, Extra=1), "does not know 'Extra' of the machine"),
    ],
)
def test_refuses_a_definition_that_it_cannot_run(works, definition, reason):
    with pytest.raises(StackFailed, match=reason):
        works.declare(definition)


GOOD = machine({"A": {"Type": "Succeed"}})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"StateMachineType": "EXPRESS"}, "knows STANDARD state machines only, 'works' is not"),
        ({"DefinitionS3Location": {"Bucket": "b"}}, "does not know the property DefinitionS3Location"),
        ({"DefinitionString": None}, "needs 'Definition' or 'DefinitionString'"),
        ({"DefinitionString": "{"}, "the definition is not JSON"),
        ({"service": "events.amazonaws.com"}, "states.amazonaws.com may not assume"),
    ],
)
def test_refuses_a_machine_that_it_cannot_play(works, changed, reason):
    with pytest.raises(StackFailed, match=reason):
        works.declare(GOOD, **changed)


def test_a_definition_may_be_an_object_and_changes_in_place(works):
    works.declare(GOOD, DefinitionString=None, Definition=GOOD)
    works.declare(machine({"B": {"Type": "Succeed", "Output": "changed"}}))

    ended = works.start(name="one")

    assert ended["output"] == '"changed"'
    with pytest.raises(works.client.exceptions.ExecutionAlreadyExists):
        works.start(name="one")
    works.hand.stacks.delete("stack", caller=None)
    with pytest.raises(works.client.exceptions.StateMachineDoesNotExist):
        works.start()
