"""Walking a pipeline: variables, conditions, and several executions at once."""

from __future__ import annotations

import threading

import pytest

from cdk_ml_release.rehearsal.pipelines.execution import Outcome
from cdk_ml_release.rehearsal.pipelines.plan import PlanError, plan
from cdk_ml_release.rehearsal.pipelines.walk import StartRefused, Walker

from .conftest import Spectator

KIND = {"Category": "Build", "Provider": "CodeBuild"}


def stage(name, *, entry=None, success=None, failure=None, result="SKIP"):
    declared = {"Name": name, "Actions": [{"Name": name, "ActionTypeId": KIND, "Namespace": name}]}
    for key, check in {"BeforeEntry": entry, "OnSuccess": success}.items():
        if check is not None:
            rule = {"Name": "Check", "RuleTypeId": {"Provider": "VariableCheck"}, "Configuration": check}
            declared[key] = {"Conditions": [{"Result": result, "Rules": [rule]}]}
    return declared | ({"OnFailure": {"Result": failure}} if failure else {})


def check(operator, value, variable="#{variables.Version}"):
    return {"Variable": variable, "Value": value, "Operator": operator}


def walker(*stages, perform=None, variables=({"Name": "Version", "DefaultValue": "new"},)):
    properties = {
        "RoleArn": "role",
        "ArtifactStore": {"Location": "bucket"},
        "Stages": list(stages),
        "Variables": list(variables),
    }

    def performed(action, execution, log):
        return perform(action, execution) if perform else Outcome(succeeded=True)

    known = ("Build", "CodeBuild")
    return Walker(plan=plan("p", properties, [known]), performers={known: performed}, progress=Spectator())


def statuses(execution):
    return {each.name: each.status for each in execution.stages}


HOLDS = [("EQ", "new"), ("NE", "1"), ("CONTAINS", "e"), ("MATCHES", "[a-z]+")]
DOES_NOT_HOLD = [("EQ", "1"), ("NE", "new"), ("CONTAINS", "x"), ("MATCHES", "n"), ("MATCHES", "[0-9]+")]


@pytest.mark.parametrize(("operator", "value"), HOLDS)
def test_a_stage_is_entered_when_its_condition_is_met(operator, value):
    execution = walker(stage("A", entry=check(operator, value))).start("test")

    assert statuses(execution) == {"A": "Succeeded"}


@pytest.mark.parametrize(("operator", "value"), DOES_NOT_HOLD)
def test_a_stage_is_skipped_when_its_condition_is_not_met(operator, value):
    execution = walker(stage("A", entry=check(operator, value)), stage("B")).start("test")

    assert statuses(execution) == {"A": "Skipped", "B": "Succeeded"}
    assert execution.status == "Succeeded"
    assert execution.stages[0].message == f"rule Check: #{{variables.Version}} is 'new', not {operator} '{value}'"


def test_an_execution_fails_where_a_condition_says_so():
    execution = walker(stage("A", entry=check("EQ", "1"), result="FAIL"), stage("B")).start("test")

    assert statuses(execution) == {"A": "Failed"}
    assert execution.status == "Failed"


def test_a_condition_after_a_stage_takes_it_back_to_the_execution_before():
    def verdict(action, execution):
        return Outcome(succeeded=True, variables={"GATE": execution.namespaces["variables"]["Version"]})

    gate = check("EQ", "good", "#{A.GATE}")
    walking = walker(stage("A", success=gate, result="ROLLBACK"), perform=verdict)
    good = walking.start("test", variables={"Version": "good"})

    walking.start("test", variables={"Version": "bad"})

    _, bad, back = walking.executions
    assert (bad.status, bad.stages[0].message) == ("Failed", "rule Check: #{A.GATE} is 'bad', not EQ 'good'")
    assert back.trigger == f"AutomatedRollback to execution {good.id}"
    assert back.status == "Succeeded"


def test_a_skipped_stage_is_not_retried():
    runs = []
    walking = walker(
        stage("A", entry=check("EQ", "1"), failure="RETRY"), perform=lambda action, execution: runs.append(action)
    )

    execution = walking.start("test", {"A": 2})

    assert statuses(execution) == {"A": "Skipped"}
    assert runs == []


def test_the_value_of_a_variable_is_given_at_the_start_or_is_its_default():
    seen = []

    def look(action, execution):
        seen.append(execution.resolve("#{variables.Version}"))
        return Outcome(succeeded=True)

    walking = walker(stage("A"), perform=look)
    walking.start("test")
    walking.start("test", variables={"Version": "1"})

    assert seen == ["new", "1"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Verison": "1"}, "pipeline 'p' has no variable 'Verison'; its variables are 'Version', 'Reason'"),
        ({"Reason": "x", "Version": ""}, "the variable 'Version' must have 1 to 1000 characters, got 0"),
        ({"Reason": "x" * 1001}, "the variable 'Reason' must have 1 to 1000 characters, got 1001"),
        ({}, "the variable 'Reason' has no default: give it a value at the start"),
    ],
)
def test_an_execution_is_not_started_with_wrong_variables(given, message):
    walking = walker(stage("A"), variables=[{"Name": "Version", "DefaultValue": "new"}, {"Name": "Reason"}])

    with pytest.raises(StartRefused, match=message):
        walking.start("test", variables=given)

    assert walking.executions == []


def test_fails_when_an_operator_is_not_known():
    with pytest.raises(PlanError, match="'Check' of stage 'A' must have an operator of EQ, NE, CONTAINS, MATCHES, got"):
        walker(stage("A", entry=check("LT", "1")))


def test_executions_stand_in_a_queue_and_only_one_is_in_a_stage():
    inside, seen, lock = {}, [], threading.Lock()
    second_in_first_stage = threading.Event()

    def work(action, execution):
        with lock:
            assert action.name not in inside, "two executions are in one stage"
            inside[action.name] = execution
            seen.append((action.name, executions.index(execution)))
        if (action.name, executions.index(execution)) == ("A", 1):
            second_in_first_stage.set()
        if (action.name, executions.index(execution)) == ("B", 0):
            # The first waits here, for an approval perhaps, until the second has built its model.
            assert second_in_first_stage.wait(10)
        with lock:
            del inside[action.name]
        return Outcome(succeeded=True)

    walking = walker(stage("A"), stage("B"), stage("C"), perform=work)
    executions = [walking.queue("test") for _ in range(3)]
    threads = [threading.Thread(target=walking.walk, args=(each,)) for each in reversed(executions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert [each.status for each in executions] == ["Succeeded"] * 3
    for name in "ABC":
        assert [number for stage_name, number in seen if stage_name == name] == [0, 1, 2]
    assert seen.index(("A", 1)) < seen.index(("C", 0)), "the second does not wait for the end of the first"


def test_who_waits_goes_on_when_the_one_before_fails():
    walking = walker(stage("A"), stage("B"), perform=lambda action, execution: Outcome(succeeded=action.name == "A"))
    executions = [walking.queue("test") for _ in range(2)]

    for each in executions:
        walking.walk(each)

    assert [statuses(each) for each in executions] == [{"A": "Succeeded", "B": "Failed"}] * 2
