"""Stacks are created, updated, rolled back and deleted as CloudFormation does it."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.stacks.stacks import (
    Physical,
    Request,
    ResourceRefused,
    Stack,
    StackEvent,
    StackFailed,
    Stacks,
)

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "CreateThing")
Refuse = Callable[[str, Request], Exception | None]


@dataclass
class World:
    """What exists outside: every handler keeps its resources here, and nothing twice under one name.

    ``refuse`` is asked before each call with the verb and the request.
    """

    things: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    callers: list[object] = field(default_factory=list)
    events: list[StackEvent] = field(default_factory=list)
    refuse: Refuse = lambda verb, request: None
    made: int = 0

    def called(self, verb: str, request: Request) -> None:
        self.callers.append(request.caller)
        if error := self.refuse(verb, request):
            self.calls.append(f"{verb} {request.logical_id} refused")
            raise error
        self.calls.append(f"{verb} {request.logical_id}")

    def has(self) -> dict[str, Mapping[str, Any]]:
        """Return what exists by the logical id it was created for, and how often."""
        return {name.split("#")[0]: properties for name, properties in self.things.items()}

    def statuses(self) -> list[str]:
        return [f"{event.logical_id} {event.status}" for event in self.events]


@dataclass
class Thing:
    """A resource type whose ``Name`` or ``Size`` cannot be changed in place."""

    world: World
    replaced_by: frozenset[str] = frozenset({"Name", "Size"})

    def create(self, request: Request) -> Physical:
        self.world.called("create", request)
        self.world.made += 1
        name = request.properties.get("Name", f"{request.logical_id}#{self.world.made}")
        if name in self.world.things:
            raise ResourceRefused(f"{name} already exists")
        return self._stored(name, request)

    def update(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        self.world.called("update", request)
        return self._stored(physical.id, request)

    def delete(self, request: Request, physical: Physical) -> None:
        self.world.called("delete", request)
        self.world.things.pop(physical.id, None)

    def _stored(self, name: str, request: Request) -> Physical:
        self.world.things[name] = request.properties
        return Physical(id=name, attributes={"Arn": f"arn:{name}", "Colour": str(request.properties.get("Colour"))})


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def stacks(world: World) -> Stacks:
    return Stacks(
        {"Test::Thing": Thing(world), "Test::Other": Thing(world)},
        account="111122223333",
        region="eu-west-1",
        ssm_lookup={"/colour": "blue"}.__getitem__,
        now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        on_event=world.events.append,
    )


def thing(properties: Mapping[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    return {"Type": "Test::Thing", "Properties": dict(properties or {}), **attributes}


def template(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


def endpoint(*, image: str = "v1", size: int = 1, colour: str = "red", **more: Any) -> dict[str, Any]:
    """An endpoint that refers to a configuration that refers to a model; another ``size`` replaces it."""
    return template(
        Endpoint=thing({"Config": {"Ref": "Config"}, "Colour": colour}),
        Config=thing({"Size": {"Fn::Sub": "${Model}"}}),
        Model=thing({"Size": size, "Image": image}),
        **more,
    )


def deploy(stacks: Stacks, document: Mapping[str, Any], name: str = "abalone", **options: Any) -> Stack:
    return stacks.deploy(name, document, caller="deployer", **options)


def refuse(verb: str, logical_id: str, error: Exception | None = None, **properties: Any) -> Refuse:
    """Refuse ``verb`` on a resource, or only if it is asked for with these properties."""

    def decide(asked: str, request: Request) -> Exception | None:
        matches = (asked, request.logical_id) == (
            verb,
            logical_id,
        ) and properties.items() <= request.properties.items()
        return (error or ResourceRefused(f"no {verb} today")) if matches else None

    return decide


def test_a_stack_is_created_in_the_order_of_its_references(stacks, world):
    stack = deploy(stacks, endpoint())

    assert stack.status == "CREATE_COMPLETE"
    assert world.calls == ["create Model", "create Config", "create Endpoint"]
    assert world.things["Endpoint#3"] == {"Config": "Config#2", "Colour": "red"}
    assert stack.resources["Config"].physical.id == "Config#2"
    assert stack is stacks.get("abalone")
    assert list(stacks) == [stack]


def test_everything_that_happens_is_told_in_order(stacks, world):
    stack = deploy(stacks, template(Model=thing()))

    assert world.statuses() == [
        "abalone CREATE_IN_PROGRESS",
        "Model CREATE_IN_PROGRESS",
        "Model CREATE_COMPLETE",
        "abalone CREATE_COMPLETE",
    ]
    assert world.events == list(stack.events)
    assert world.events[1].resource_type == "Test::Thing"
    assert world.events[1].time == datetime(2026, 11, 22, tzinfo=UTC)


def test_the_handlers_act_as_whoever_deploys(stacks, world):
    deploy(stacks, template(Model=thing()))

    stacks.delete("abalone", caller="cleaner")

    assert world.callers == ["deployer", "cleaner"]


def test_a_stack_knows_its_names_parameters_and_outputs(stacks):
    document = {
        "Parameters": {"Colour": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/colour"}},
        **template(Model=thing({"Colour": {"Ref": "Colour"}, "Stack": {"Ref": "AWS::StackId"}})),
        "Outputs": {
            "Colour": {"Value": {"Fn::GetAtt": ["Model", "Colour"]}, "Export": {"Name": "the-colour"}},
            "Two": {"Value": 2},
        },
    }

    stack = deploy(stacks, document, tags={"team": "ml"})

    assert stack.id.startswith("arn:aws:cloudformation:eu-west-1:111122223333:stack/abalone/")
    assert stack.resources["Model"].properties == {"Colour": "blue", "Stack": stack.id}
    assert stack.parameters == {"Colour": "/colour"}
    assert stack.outputs == {"Colour": "blue", "Two": "2"}
    assert stack.exports == {"the-colour": "blue"}
    assert stack.tags == {"team": "ml"}
    assert stack.template == document


def test_metadata_of_the_cdk_and_wait_handles_need_no_handler(stacks, world):
    document = template(
        CDKMetadata={"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2:1"}},
        Handle={"Type": "AWS::CloudFormation::WaitConditionHandle"},
    )

    stack = deploy(stacks, document)

    assert stack.status == "CREATE_COMPLETE"
    assert world.calls == []


def test_the_same_deployment_again_changes_nothing_and_is_no_failure(stacks, world):
    first = deploy(stacks, endpoint())
    world.calls.clear()
    world.events.clear()

    again = deploy(stacks, endpoint())

    assert again is first
    assert (world.calls, world.events) == ([], [])


def test_an_update_keeps_the_parameters_that_are_not_given(stacks, world):
    document = {
        "Parameters": {name: {"Type": "String", "Default": "none"} for name in ("Colour", "Image")},
        **template(Model=thing({"Colour": {"Ref": "Colour"}, "Image": {"Ref": "Image"}})),
    }
    deploy(stacks, document, parameters={"Colour": "red", "Image": "v1"})

    stack = deploy(stacks, document, parameters={"Image": "v2"})

    assert stack.status == "UPDATE_COMPLETE"
    assert stack.parameters == {"Colour": "red", "Image": "v2"}
    assert world.has() == {"Model": {"Colour": "red", "Image": "v2"}}


def test_a_change_in_place_reaches_only_what_sees_it(stacks, world):
    deploy(stacks, endpoint(image="v1"))
    world.calls.clear()

    stack = deploy(stacks, endpoint(image="v2"))

    assert world.calls == ["update Model"]
    assert stack.resources["Model"].physical.id == "Model#1"


def test_an_attribute_that_changed_updates_what_asks_for_it(stacks, world):
    def document(colour: str) -> dict[str, Any]:
        attribute = {"Fn::GetAtt": "Model.Colour"}
        return template(Model=thing({"Colour": colour}), Alarm=thing({"Watches": attribute}))

    deploy(stacks, document("red"))
    world.calls.clear()

    deploy(stacks, document("blue"))

    assert world.calls == ["update Model", "update Alarm"]
    assert world.things["Alarm#2"] == {"Watches": "blue"}


def test_a_replacement_reaches_everything_that_refers_to_it_and_the_old_ones_go_last(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.calls.clear()

    stack = deploy(stacks, endpoint(size=2))

    assert world.calls == [
        "create Model",
        "create Config",
        "update Endpoint",
        "delete Config",
        "delete Model",
    ]
    assert world.things == {
        "Endpoint#3": {"Config": "Config#5", "Colour": "red"},
        "Config#5": {"Size": "Model#4"},
        "Model#4": {"Size": 2, "Image": "v1"},
    }
    assert stack.status == "UPDATE_COMPLETE"


def test_what_is_no_longer_declared_is_deleted_last_and_dependents_first(stacks, world):
    more = {"Policy": thing({"Role": {"Ref": "Role"}}), "Role": thing()}
    deploy(stacks, endpoint(**more))
    world.calls.clear()

    stack = deploy(stacks, endpoint(colour="blue", New=thing()))

    assert world.calls == ["create New", "update Endpoint", "delete Policy", "delete Role"]
    assert sorted(stack.resources) == ["Config", "Endpoint", "Model", "New"]


def test_a_resource_whose_condition_no_longer_holds_is_deleted(stacks, world):
    document = {
        "Parameters": {"Watch": {"Type": "String"}},
        "Conditions": {"Watched": {"Fn::Equals": [{"Ref": "Watch"}, "yes"]}},
        **template(Model=thing(), Alarm=thing({"On": {"Ref": "Model"}}, Condition="Watched")),
    }
    deploy(stacks, document, parameters={"Watch": "yes"})

    deploy(stacks, document, parameters={"Watch": "no"})

    assert world.has() == {"Model": {}}


def test_a_refused_clean_up_is_told_but_does_not_fail_the_update(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.refuse = refuse("delete", "Config", DENIED)

    stack = deploy(stacks, endpoint(size=2))

    refused = [event for event in world.events if event.status == "DELETE_FAILED"]
    assert stack.status == "UPDATE_COMPLETE"
    assert [event.logical_id for event in refused] == ["Config", "Model"]
    assert "AccessDenied" in refused[0].reason
    assert "still needed by 'Config'" in refused[1].reason


def test_new_outputs_alone_are_an_update(stacks, world):
    deploy(stacks, template(Model=thing()))
    world.calls.clear()

    stack = deploy(stacks, {**template(Model=thing()), "Outputs": {"Name": {"Value": {"Ref": "Model"}}}})

    assert (stack.status, stack.outputs) == ("UPDATE_COMPLETE", {"Name": "Model#1"})
    assert world.calls == []


def test_new_tags_alone_are_an_update_and_no_tags_keep_the_old(stacks, world):
    deploy(stacks, template(Model=thing()), tags={"team": "ml"})

    kept = deploy(stacks, template(Model=thing()))
    changed = deploy(stacks, template(Model=thing()), tags={"team": "ops"})

    assert (kept.status, kept.tags) == ("CREATE_COMPLETE", {"team": "ml"})
    assert (changed.status, changed.tags) == ("UPDATE_COMPLETE", {"team": "ops"})
    assert world.calls == ["create Model"]


@pytest.mark.parametrize("verb", ["create", "update"])
@pytest.mark.parametrize("error", [ResourceRefused("no quota"), DENIED])
def test_a_failed_update_leaves_exactly_what_was_in_service(stacks, world, verb, error):
    before = deploy(stacks, endpoint(size=1, image="v1", colour="red", Aside=thing({"Colour": "red"})))
    in_service = dict(world.things)
    name = {"create": "Late", "update": "Endpoint"}[verb]
    world.refuse = refuse(verb, name, error, Colour="blue")
    late = thing({"Colour": "blue", "After": {"Ref": "Endpoint"}})
    document = endpoint(size=2, image="v2", colour="blue", Aside=thing({"Colour": "blue"}), Late=late)

    with pytest.raises(StackFailed) as failure:
        deploy(stacks, document)

    stack = stacks.get("abalone")
    assert world.things == in_service
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert {name: held.physical for name, held in stack.resources.items()} == {
        name: held.physical for name, held in before.resources.items()
    }
    assert stack.template == before.template
    assert str(failure.value) == (
        f"stack 'abalone': {name!r} (Test::Thing): {error}; the stack is in UPDATE_ROLLBACK_COMPLETE"
    )


def test_what_an_update_did_not_reach_is_left_alone(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.calls.clear()
    world.refuse = refuse("create", "Config")

    with pytest.raises(StackFailed, match=r"'Config' .*no create today"):
        deploy(stacks, endpoint(size=2))

    assert world.calls == ["create Model", "create Config refused", "delete Model"]


def test_a_rollback_restores_before_it_deletes(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.calls.clear()
    world.refuse = refuse("create", "Late")

    with pytest.raises(StackFailed):
        deploy(stacks, endpoint(size=2, Late=thing({"After": {"Ref": "Endpoint"}})))

    assert world.calls == [
        *("create Model", "create Config", "update Endpoint", "create Late refused"),
        *("update Endpoint", "delete Config", "delete Model"),
    ]


def test_a_stack_can_be_updated_after_its_update_was_rolled_back(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.refuse = refuse("create", "Config")
    with pytest.raises(StackFailed):
        deploy(stacks, endpoint(size=2))
    world.refuse = lambda verb, request: None

    stack = deploy(stacks, endpoint(size=3))

    assert stack.status == "UPDATE_COMPLETE"
    assert sorted(world.has()) == ["Config", "Endpoint", "Model"]
    assert len(world.things) == 3


def test_a_failed_creation_leaves_nothing(stacks, world):
    world.refuse = refuse("create", "Endpoint", DENIED)

    with pytest.raises(StackFailed, match=r"ROLLBACK_COMPLETE$") as failure:
        deploy(stacks, endpoint())

    assert world.things == {}
    assert world.calls[-2:] == ["delete Config", "delete Model"]
    assert (failure.value.logical_id, failure.value.resource_type) == ("Endpoint", "Test::Thing")
    assert stacks.get("abalone").status == "ROLLBACK_COMPLETE"
    assert stacks.get("abalone").resources == {}


def test_what_a_refused_creation_left_behind_is_deleted_too(stacks, world):
    def half(verb: str, request: Request) -> Exception | None:
        if (verb, request.logical_id) != ("create", "Endpoint"):
            return None
        world.things["half"] = {}
        return ResourceRefused("the container never answered", Physical(id="half"))

    world.refuse = half

    with pytest.raises(StackFailed, match="the container never answered"):
        deploy(stacks, endpoint())

    assert world.things == {}


def test_a_reason_of_several_lines_becomes_one(stacks, world):
    world.refuse = refuse("create", "Model", ResourceRefused("no\n  way"))

    with pytest.raises(StackFailed, match=r"\(Test::Thing\): no way; "):
        deploy(stacks, endpoint())


def test_an_expression_without_a_value_fails_its_resource_and_rolls_back(stacks, world):
    document = endpoint(Late=thing({"Arn": {"Fn::GetAtt": ["Endpoint", "Url"]}}))

    with pytest.raises(StackFailed, match=r"'Late' .* of 'Endpoint' must be one of \['Arn', 'Colour'\], got 'Url'"):
        deploy(stacks, document)

    assert world.things == {}
    assert "Late CREATE_FAILED" in world.statuses()


@pytest.mark.parametrize(
    "state",
    [pytest.param("create", id="ROLLBACK_COMPLETE"), pytest.param("update", id="UPDATE_ROLLBACK_FAILED")],
)
def test_fails_when_the_stack_is_in_a_failed_state_unless_it_may_be_replaced(stacks, world, state):
    if state == "update":
        deploy(stacks, template(Model=thing({"Colour": "red"})))
    world.refuse = refuse(state, "Model")
    with pytest.raises(StackFailed):
        deploy(stacks, template(Model=thing({"Colour": "blue"})))
    world.refuse = lambda verb, request: None

    with pytest.raises(StackFailed, match=r"is in .*ROLLBACK_.* and cannot be updated; delete it first"):
        deploy(stacks, template(Model=thing({"Colour": "blue"})))
    stack = deploy(stacks, template(Model=thing({"Colour": "blue"})), replace_failed=True)

    assert stack.status == "CREATE_COMPLETE"
    assert world.has() == {"Model": {"Colour": "blue"}}
    assert len(world.things) == 1


def test_a_stack_in_service_is_not_replaced_though_a_failed_one_might_be(stacks, world):
    deploy(stacks, template(Model=thing({"Colour": "red"})))

    stack = deploy(stacks, template(Model=thing({"Colour": "blue"})), replace_failed=True)

    assert stack.status == "UPDATE_COMPLETE"
    assert world.calls == ["create Model", "update Model"]


def test_a_rollback_that_fails_keeps_what_may_be_in_use_until_the_stack_is_deleted(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.refuse = refuse("update", "Endpoint", DENIED)

    with pytest.raises(StackFailed, match=r"UPDATE_ROLLBACK_FAILED because 'Endpoint' .*AccessDenied"):
        deploy(stacks, endpoint(size=2))
    stack = stacks.get("abalone")
    kept = sorted(world.things)
    world.calls.clear()
    stacks.delete("abalone", caller="deployer")

    assert stack.status == "UPDATE_ROLLBACK_FAILED"
    assert stack.resources["Endpoint"].status == "UPDATE_FAILED"
    assert [leftover.physical.id for leftover in stack.leftovers] == ["Model#4", "Config#5"]
    assert kept == ["Config#2", "Config#5", "Endpoint#3", "Model#1", "Model#4"]
    assert world.things == {}
    assert world.calls[0] == "delete Endpoint"


def test_a_creation_whose_rollback_fails_keeps_what_is_left(stacks, world):
    world.refuse = lambda verb, request: (
        ResourceRefused("no") if (verb, request.logical_id) in {("create", "Config"), ("delete", "Model")} else None
    )

    with pytest.raises(StackFailed, match="the stack is in ROLLBACK_FAILED because 'Model'"):
        deploy(stacks, endpoint())

    assert list(stacks.get("abalone").resources) == ["Model"]


def test_fails_when_types_are_not_known_and_names_each(stacks, world):
    document = endpoint(Queue={"Type": "AWS::SQS::Queue"}, Mine={"Type": "Custom::Mine"})

    with pytest.raises(StackFailed) as failure:
        deploy(stacks, document)

    assert "the rehearsal does not know the resource type of 'Queue' (AWS::SQS::Queue), 'Mine' (Custom::Mine)" in str(
        failure.value
    )
    assert world.calls == []
    assert stacks.get("abalone") is None


@pytest.mark.parametrize(
    ("document", "parameters", "message"),
    [
        (
            template(A=thing({"B": {"Ref": "A"}})),
            {},
            "stack 'abalone': resources must not depend on themselves",
        ),
        (template(A=thing({"B": {"Fn::Cidr": []}})), {}, "'Fn::Cidr' in resource 'A' is not a function"),
        ({**template(A=thing()), "Parameters": {"P": {"Type": "String"}}}, {}, "'P' must have a value"),
        (template(A=thing()), {"P": "1"}, "parameter 'P' must be declared"),
    ],
)
def test_fails_when_the_template_is_unsound_and_touches_nothing(stacks, world, document, parameters, message):
    deploy(stacks, template(A=thing()))
    world.calls.clear()

    with pytest.raises(StackFailed, match=message):
        deploy(stacks, document, parameters=parameters)

    assert world.calls == []
    assert stacks.get("abalone").status == "CREATE_COMPLETE"


def test_fails_when_a_resource_changes_its_type(stacks, world):
    deploy(stacks, template(Model=thing()))

    with pytest.raises(StackFailed, match=r"'Model' \(Test::Thing\): must keep its type, got 'Test::Other'"):
        deploy(stacks, template(Model={"Type": "Test::Other"}))

    assert world.calls == ["create Model"]


@pytest.mark.parametrize("name", ["", "1abalone", "aba_lone", "a" * 129])
def test_fails_when_the_name_cannot_be_a_stack_name(stacks, name):
    with pytest.raises(StackFailed, match="must be named by 1 to 128 letters, digits and '-'"):
        deploy(stacks, template(Model=thing()), name)


def test_fails_when_a_resource_with_a_fixed_name_needs_to_be_replaced(stacks, world):
    deploy(stacks, template(Model=thing({"Name": "fixed", "Size": 1})))

    with pytest.raises(StackFailed, match="fixed already exists"):
        deploy(stacks, template(Model=thing({"Name": "fixed", "Size": 2})))

    assert world.things == {"fixed": {"Name": "fixed", "Size": 1}}


def test_a_replacement_under_the_same_name_is_refused_and_does_not_delete_it(world):
    class Overwriting(Thing):
        def create(self, request: Request) -> Physical:
            return self._stored("same", request)

    stacks = Stacks(
        {"Test::Thing": Overwriting(world)},
        account="1",
        region="r",
        ssm_lookup=str,
        now=lambda: datetime.now(UTC),
    )
    deploy(stacks, template(Model=thing({"Size": 1})))

    with pytest.raises(StackFailed, match="must be replaced but keeps its name 'same'; rename it"):
        deploy(stacks, template(Model=thing({"Size": 2})))

    assert list(world.things) == ["same"]


def test_deletion_goes_from_dependents_to_what_they_need(stacks, world):
    deploy(stacks, endpoint())
    world.calls.clear()

    stacks.delete("abalone", caller="deployer")

    assert world.calls == ["delete Endpoint", "delete Config", "delete Model"]
    assert world.statuses()[-1] == "abalone DELETE_COMPLETE"
    assert stacks.get("abalone") is None


def test_deleting_a_stack_that_does_not_exist_is_no_failure(stacks, world):
    stacks.delete("abalone", caller="deployer")

    assert world.events == []


def test_a_refused_deletion_keeps_what_it_needs_and_can_be_tried_again(stacks, world):
    deploy(stacks, endpoint(Topic=thing()))
    world.refuse = refuse("delete", "Config", DENIED)

    with pytest.raises(StackFailed, match=r"cannot be deleted: 'Config' .*AccessDenied.*; 'Model' .*still needed"):
        stacks.delete("abalone", caller="deployer")
    left = stacks.get("abalone")
    world.refuse = lambda verb, request: None
    stacks.delete("abalone", caller="deployer")

    assert left.status == "DELETE_FAILED"
    assert sorted(left.resources) == ["Config", "Model"]
    assert world.things == {}


@pytest.mark.parametrize(
    ("policy", "kept"),
    [("Delete", False), ("Snapshot", False), ("Retain", True), ("RetainExceptOnCreate", True)],
)
def test_the_deletion_policy_decides_when_a_resource_or_its_stack_goes(stacks, world, policy, kept):
    deploy(stacks, template(Data=thing(DeletionPolicy=policy), Model=thing()), "first")
    deploy(stacks, template(Data=thing(DeletionPolicy=policy), Model=thing()), "second")

    deploy(stacks, template(Model=thing()), "first")
    stacks.delete("second", caller="deployer")

    assert sorted(world.things) == (["Data#1", "Data#3", "Model#2"] if kept else ["Model#2"])
    assert world.statuses().count("Data DELETE_SKIPPED") == (2 if kept else 0)


@pytest.mark.parametrize(("policy", "kept"), [("Retain", ["Data#1"]), ("RetainExceptOnCreate", []), ("Delete", [])])
def test_the_deletion_policy_decides_when_a_creation_is_rolled_back(stacks, world, policy, kept):
    world.refuse = refuse("create", "Model")
    document = template(Data=thing(DeletionPolicy=policy), Model=thing({"Of": {"Ref": "Data"}}))

    with pytest.raises(StackFailed, match="ROLLBACK_COMPLETE"):
        deploy(stacks, document)

    assert list(world.things) == kept


@pytest.mark.parametrize(
    ("policy", "left"), [("Delete", ["Data#2"]), ("Snapshot", ["Data#2"]), ("Retain", ["Data#1", "Data#2"])]
)
def test_the_replace_policy_decides_what_happens_to_a_replaced_resource(stacks, world, policy, left):
    deploy(stacks, template(Data=thing({"Size": 1}, UpdateReplacePolicy=policy, DeletionPolicy="Retain")))

    deploy(stacks, template(Data=thing({"Size": 2}, UpdateReplacePolicy=policy, DeletionPolicy="Retain")))

    assert list(world.things) == left


PRODUCER = {
    **template(Data=thing({"Size": 1})),
    "Outputs": {"Name": {"Value": {"Ref": "Data"}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}-data"}}}},
}
IMPORTER = template(Model=thing({"Data": {"Fn::ImportValue": "data-data"}}))


def test_a_stack_sees_exports_and_outputs_of_another(stacks, world):
    deploy(stacks, PRODUCER, "data")
    weak = {"Fn::GetStackOutput": {"StackName": "data", "OutputName": "Name", "Region": "eu-west-1"}}

    stack = deploy(stacks, template(Model=thing({"Strong": {"Fn::ImportValue": "data-data"}, "Weak": weak})))

    assert world.has()["Model"] == {"Strong": "Data#1", "Weak": "Data#1"}
    assert stack.imports == {"data-data"}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"Fn::ImportValue": "nothing"}, "needs the export 'nothing', got none"),
        ({"Fn::GetStackOutput": {"StackName": "a", "OutputName": "b"}}, "stack 'a' must have the output 'b'"),
        (
            {"Fn::GetStackOutput": {"StackName": "a", "OutputName": "b", "Region": "us-east-1"}},
            "must stay in the Region 'eu-west-1', got 'us-east-1'",
        ),
    ],
)
def test_fails_when_another_stack_does_not_offer_what_is_asked_for(stacks, expression, message):
    with pytest.raises(StackFailed, match=message):
        deploy(stacks, template(Model=thing({"Value": expression})))


def test_fails_when_an_export_exists_already(stacks, world):
    deploy(stacks, {**PRODUCER, "Outputs": {"N": {"Value": "1", "Export": {"Name": "data-data"}}}}, "first")
    in_service = dict(world.things)

    with pytest.raises(StackFailed, match="export 'data-data' must be unique, but stack 'first' has it"):
        deploy(stacks, PRODUCER, "data")

    assert world.things == in_service


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda stacks: deploy(stacks, template(Data=thing({"Size": 1})), "data"), id="removed"),
        pytest.param(
            lambda stacks: deploy(stacks, {**PRODUCER, **template(Data=thing({"Size": 2}))}, "data"),
            id="changed",
        ),
        pytest.param(lambda stacks: stacks.delete("data", caller="deployer"), id="deleted"),
    ],
)
def test_fails_when_an_export_that_another_stack_imports_would_go(stacks, world, change):
    deploy(stacks, PRODUCER, "data")
    deploy(stacks, IMPORTER, "model")
    in_service = dict(world.things)

    with pytest.raises(StackFailed, match="export 'data-data' must stay as it is, because stack 'model' imports it"):
        change(stacks)

    assert world.things == in_service


def test_an_export_may_go_once_nobody_imports_it(stacks):
    deploy(stacks, PRODUCER, "data")
    deploy(stacks, IMPORTER, "model")
    deploy(stacks, template(Model=thing()), "model")

    stacks.delete("data", caller="deployer")

    assert [stack.name for stack in stacks] == ["model"]


def test_a_bug_is_not_hidden_and_leaves_a_stack_that_can_be_deleted(stacks, world):
    deploy(stacks, endpoint(size=1))
    world.refuse = refuse("update", "Endpoint", ZeroDivisionError("a bug"))

    with pytest.raises(ZeroDivisionError, match="a bug"):
        deploy(stacks, endpoint(size=2))
    stack = stacks.get("abalone")
    stacks.delete("abalone", caller="deployer")

    assert (stack.status, stack.status_reason) == (
        "UPDATE_FAILED",
        "interrupted by ZeroDivisionError('a bug')",
    )
    assert world.things == {}


def test_a_handler_that_changes_the_id_in_an_update_is_a_bug(stacks, world):
    class Renaming(Thing):
        def update(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
            return Physical(id="another")

    stacks = Stacks(
        {"Test::Thing": Renaming(world)},
        account="1",
        region="r",
        ssm_lookup=str,
        now=lambda: datetime.now(UTC),
    )
    deploy(stacks, template(Model=thing({"Colour": "red"})))

    with pytest.raises(RuntimeError, match="'Test::Thing' must keep the id in an update, got 'another'"):
        deploy(stacks, template(Model=thing({"Colour": "blue"})))


def test_a_handler_cannot_change_what_is_remembered(stacks, world):
    world.refuse = lambda verb, request: request.properties["Tags"].clear()
    deploy(stacks, template(Model=thing({"Tags": ["a"]})))
    world.calls.clear()

    deploy(stacks, template(Model=thing({"Tags": ["a"]})))

    assert world.calls == []
    assert stacks.get("abalone").resources["Model"].properties == {"Tags": ["a"]}


def test_different_stacks_are_deployed_at_the_same_time(stacks, world):
    both = threading.Barrier(2, timeout=5)
    world.refuse = lambda verb, request: both.wait() and None
    threads = [threading.Thread(target=deploy, args=(stacks, template(Model=thing()), name)) for name in ("a", "b")]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {stack.status for stack in stacks} == {"CREATE_COMPLETE"}
    assert len(world.things) == 2


def test_fails_when_a_stack_is_deployed_while_it_is_being_deployed(stacks, world):
    refusals = []

    def again(verb: str, request: Request) -> None:
        with pytest.raises(StackFailed, match="'abalone': is being changed already") as refusal:
            deploy(stacks, endpoint())
        refusals.append((refusal.value, stacks.get("abalone").status))

    world.refuse = again
    deploy(stacks, template(Model=thing()))

    assert [status for _, status in refusals] == ["CREATE_IN_PROGRESS"]
    assert stacks.get("abalone").status == "CREATE_COMPLETE"


def chance(dice: random.Random) -> dict[str, Any]:
    """Return a random template: every resource may refer to earlier ones."""
    resources: dict[str, Any] = {}
    for name in dice.sample("ABCDEF", dice.randint(1, 6)):
        properties: dict[str, Any] = {"Colour": dice.choice("rgb"), "Size": dice.randint(1, 2)}
        for other in dice.sample(sorted(resources), min(len(resources), dice.randint(0, 2))):
            attribute = {"Fn::GetAtt": [other, dice.choice(["Arn", "Colour"])]}
            properties[dice.choice(["Size", "Uses"])] = dice.choice([{"Ref": other}, attribute])
        resources[name] = thing(properties)
    return template(**dict(dice.sample(list(resources.items()), len(resources))))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_the_world_is_as_the_last_deployment_that_worked_left_it(stacks, world, seed):
    dice = random.Random(seed)

    for _ in range(8):
        before, unlucky = dict(world.things), (dice.choice(["create", "update"]), dice.choice("ABCDEF"))
        budget = iter([ResourceRefused("bad luck")])
        world.refuse = lambda verb, request, unlucky=unlucky, budget=budget: (
            next(budget, None) if (verb, request.logical_id) == unlucky else None
        )
        document = chance(dice)
        try:
            stack = deploy(stacks, document, replace_failed=True)
        except StackFailed as failure:
            survived = "UPDATE_ROLLBACK_COMPLETE" in str(failure)
            assert world.things == (before if survived else {})
        else:
            held = {resource.physical.id: resource.properties for resource in stack.resources.values()}
            assert world.things == held
            assert stack.resources.keys() == document["Resources"].keys()

    stacks.delete("abalone", caller="deployer")
    assert world.things == {}
