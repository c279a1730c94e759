"""A template is read, checked, bound to parameters and put in order."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cdk_ml_release.rehearsal.stacks.template import BoundTemplate, Template, TemplateRefused

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::NotificationARNs": [],
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/abalone/1",
    "AWS::StackName": "abalone",
    "AWS::URLSuffix": "amazonaws.com",
}
MODEL = {"Type": "Test::Model"}


def bind(
    template: Mapping[str, Any],
    parameters: Mapping[str, str] | None = None,
    previous: Mapping[str, str] | None = None,
    ssm: Mapping[str, str] | None = None,
) -> BoundTemplate:
    return Template({"Resources": {"Model": MODEL}, **template}).bind(
        parameters=parameters or {}, previous=previous or {}, pseudo=PSEUDO, ssm=(ssm or {}).__getitem__
    )


def resolve(value: Any, ssm: Mapping[str, str] | None = None, **sections: Any) -> Any:
    """Resolve one property of a resource 'Probe' beside a resource 'Model' with id and attribute."""
    resources = {"Model": MODEL, "Probe": {"Type": "Test::Probe", "Properties": {"Value": value}}}
    bound = bind({"Resources": resources, **sections}, ssm=ssm)
    known = {"Model": {"": "model-1", "Arn": "arn:model-1", "Tag.Name": "tagged"}}

    def ref(name: str) -> Any:
        return known[name][""] if name in known else bound.scope.ref(name)

    scope = replace(
        bound.scope,
        ref=ref,
        attribute=lambda name, attribute: known[name][attribute],
        imported=lambda name: f"import of {name}",
        output=lambda stack, output, region: f"{output} of {stack} in {region}",
    )
    return bound.resolve(bound.resources["Probe"].properties, scope).get("Value", "absent")


NESTED = {"Fn::Join": ["/", [{"Ref": "Model"}, {"Fn::Select": [1, {"Fn::Split": [":", "a:b"]}]}]]}
MAPPINGS = {"Sizes": {"eu-west-1": {"small": 1}}}
CONDITIONS = {"Yes": {"Fn::Equals": ["a", "a"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "Model"}, "model-1"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "AWS::NotificationARNs"}, []),
        ({"Fn::GetAtt": ["Model", "Arn"]}, "arn:model-1"),
        ({"Fn::GetAtt": "Model.Arn"}, "arn:model-1"),
        ({"Fn::GetAtt": "Model.Tag.Name"}, "tagged"),
        ({"Fn::Join": [",", ["a", 2, True]]}, "a,2,true"),
        ({"Fn::Join": [",", ["a", {"Ref": "AWS::NoValue"}]]}, "a"),
        ({"Fn::Sub": "${Model}:${Model.Arn}@${AWS::AccountId}"}, "model-1:arn:model-1@111122223333"),
        ({"Fn::Sub": ["${name}-${Model}", {"name": {"Ref": "AWS::StackName"}}]}, "abalone-model-1"),
        ({"Fn::Sub": "${!Literal} $dollar"}, "${Literal} $dollar"),
        ({"Fn::Select": ["0", ["a", "b"]]}, "a"),
        ({"Fn::Split": ["-", "a-b-"]}, ["a", "b", ""]),
        ({"Fn::Base64": "abalone"}, "YWJhbG9uZQ=="),
        ({"Fn::If": ["Yes", "yes", {"Ref": "AWS::NoValue"}]}, "yes"),
        ({"Fn::If": ["No", "yes", {"Ref": "AWS::NoValue"}]}, "absent"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}, 1),
        ({"Fn::ImportValue": {"Fn::Sub": "${AWS::StackName}-arn"}}, "import of abalone-arn"),
        ({"Fn::GetStackOutput": {"StackName": "data", "OutputName": "Arn"}}, "Arn of data in None"),
        ({"Fn::GetAZs": ""}, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        ({"Fn::GetAZs": "us-east-1"}, ["us-east-1a", "us-east-1b", "us-east-1c"]),
        (NESTED, "model-1/b"),
        ([{"Ref": "Model"}, {"Ref": "AWS::NoValue"}], ["model-1"]),
        ({"Condition": {"StringEquals": {"a": "b"}}}, {"Condition": {"StringEquals": {"a": "b"}}}),
        ({"Ref": "Model", "Other": 1}, {"Ref": "Model", "Other": 1}),
    ],
)
def test_an_expression_is_replaced_by_its_value(expression, value):
    assert resolve(expression, Mappings=MAPPINGS, Conditions=CONDITIONS) == value


EXTENSIONS = [
    ({"Fn::Length": ["a", "b"]}, 2),
    ({"Fn::Length": {"Fn::Split": [",", "a,b,c"]}}, 3),
    ({"Fn::ToJsonString": {"model": {"Ref": "Model"}, "n": 1}}, '{"model":"model-1","n":1}'),
    ({"Fn::FindInMap": ["Sizes", "us-east-1", "small", {"DefaultValue": 7}]}, 7),
]


@pytest.mark.parametrize(("expression", "value"), EXTENSIONS)
def test_the_language_extensions_work_where_the_template_asks_for_them(expression, value):
    assert resolve(expression, Mappings=MAPPINGS, Transform="AWS::LanguageExtensions") == value


@pytest.mark.parametrize("expression", [expression for expression, _ in EXTENSIONS])
def test_fails_when_a_language_extension_is_used_without_asking_for_it(expression):
    with pytest.raises(TemplateRefused, match='needs "Transform": "AWS::LanguageExtensions"'):
        resolve(expression, Mappings=MAPPINGS)


def test_a_stored_parameter_inside_a_string_is_looked_up():
    value = resolve("s3://{{resolve:ssm:/bucket:3}}/data", ssm={"/bucket:3": "abalone"})

    assert value == "s3://abalone/data"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, r"'Fn::Cidr' in resource 'Probe' is not a function"),
        ({"a": [{"Fn::ForEach::X": []}]}, r"'Fn::ForEach::X' in resource 'Probe' is not a function"),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, r"'Fn::Transform' .* calls 'AWS::Include'"),
        ({"Fn::Join": ["", []], "b": 1}, r"'Fn::Join' in resource 'Probe' must be the only key, got 2"),
        ({"Fn::Equals": ["a", "b"]}, r"'Fn::Equals' cannot be used here"),
        ({"Fn::Join": "a"}, r"'Fn::Join' needs a list of 2 arguments, got 'a'"),
        ({"Fn::Join": ["", "ab"]}, r"'Fn::Join' needs a list to join, got 'ab'"),
        ({"Fn::Join": ["", [["a"]]]}, r"'Fn::Join' needs a string, got \['a'\]"),
        ({"Fn::Select": [2, ["a", "b"]]}, r"'Fn::Select' needs an index of its list, got 2 of \['a', 'b'\]"),
        ({"Fn::Select": ["x", ["a"]]}, r"'Fn::Select' needs an index"),
        ({"Fn::Split": ["", "ab"]}, r"'Fn::Split' needs a delimiter"),
        ({"Fn::Sub": "${AWS::NotificationARNs}"}, r"'Fn::Sub' of 'AWS::NotificationARNs' needs a string"),
        ({"Fn::Sub": ["${a b}", {"a b": "c"}]}, r"'Fn::Sub' variables have letters, .* got '\$\{a b\}'"),
        ({"Fn::FindInMap": ["Sizes", "mars", "small"]}, r"finds no 'mars' for \['Sizes', 'mars', 'small'\]"),
        ({"Fn::FindInMap": ["Prices", "a", "b"]}, r"finds no 'Prices'"),
        ({"Fn::If": ["Maybe", 1, 2]}, r"'Fn::If' needs one of 'Conditions', got 'Maybe'"),
        ({"Fn::If": ["Yes", 1]}, r"'Fn::If' needs a list of 3 arguments"),
        ({"Fn::GetAtt": "Model"}, r"'Fn::GetAtt' needs a list of 2 arguments, got \['Model'\]"),
        ({"Fn::GetStackOutput": {"StackName": "a"}}, r"'Fn::GetStackOutput' needs a stack and an output"),
        (
            "{{resolve:secretsmanager:token}}",
            r"'\{\{resolve:secretsmanager:token\}\}' is a dynamic reference",
        ),
        ("{{resolve:ssm:/none}}", r"needs the SSM parameter '/none', got none"),
    ],
)
def test_fails_when_an_expression_has_no_value(expression, message):
    with pytest.raises(TemplateRefused, match=message):
        resolve(expression, Mappings=MAPPINGS, Conditions=CONDITIONS)


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nobody"},
        {"Ref": "AWS::Nothing"},
        {"Fn::GetAtt": ["Nobody", "Arn"]},
        {"Fn::GetAtt": ["AWS::Region", "Arn"]},
        {"Fn::Sub": "x-${Nobody}"},
        {"Fn::Sub": ["${a}", {"a": {"Ref": "Nobody"}}]},
        {"Fn::If": ["No", {"Ref": "Nobody"}, 1]},
    ],
)
def test_fails_when_a_name_is_not_declared_even_in_a_branch_not_taken(value):
    with pytest.raises(TemplateRefused, match=r"resource 'Probe' refers to '.*', which is not in the template"):
        resolve(value, Conditions=CONDITIONS)


@pytest.mark.parametrize(
    ("declaration", "given", "value"),
    [
        ({"Type": "String"}, "two", "two"),
        ({"Type": "String", "Default": 2}, None, "2"),
        ({"Type": "String", "Default": ""}, None, ""),
        ({"Type": "String", "AllowedValues": [True, "b"]}, "true", "true"),
        ({"Type": "Number", "MinValue": 1, "MaxValue": 3}, "2.5", "2.5"),
        ({"Type": "CommaDelimitedList"}, "a, b ,c", ["a", "b", "c"]),
        ({"Type": "CommaDelimitedList", "Default": ""}, None, []),
        ({"Type": "List<Number>"}, "1,2", ["1", "2"]),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, "/version", "21,22"),
        ({"Type": "AWS::SSM::Parameter::Value<List<String>>"}, "/version", ["21", "22"]),
        ({"Type": "AWS::SSM::Parameter::Name"}, "/version", "/version"),
    ],
)
def test_ref_gives_a_parameter_in_the_shape_of_its_type(declaration, given, value):
    parameters = {} if given is None else {"P": given}

    bound = bind({"Parameters": {"P": declaration}}, parameters, ssm={"/version": "21,22"})

    assert bound.scope.ref("P") == value


def test_a_parameter_is_given_or_kept_or_defaulted():
    template = {"Parameters": {name: {"Type": "String", "Default": "default"} for name in "ABC"}}

    bound = bind(template, {"A": "given"}, previous={"A": "kept", "B": "kept", "Gone": "kept"})

    assert bound.parameters == {"A": "given", "B": "kept", "C": "default"}


@pytest.mark.parametrize(
    ("declaration", "given", "message"),
    [
        ({"Type": "String"}, None, "parameter 'P' must have a value, got none"),
        ({"Type": "Number"}, "two", "parameter 'P' must be a number, got 'two'"),
        ({"Type": "List<Number>"}, "1,b", "parameter 'P' must be a number, got '1,b'"),
        ({"Type": "Number", "MinValue": 2}, "1", "parameter 'P' must be at least 2, got '1'"),
        ({"Type": "Number", "MaxValue": 2}, "3", "parameter 'P' must be at most 2, got '3'"),
        ({"Type": "String", "AllowedValues": ["a", "b"]}, "c", r"must be one of \['a', 'b'\], got 'c'"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "abc1", r"must match '\[a-z\]\+', got 'abc1'"),
        (
            {"Type": "String", "AllowedPattern": "["},
            "a",
            "'AllowedPattern' of parameter 'P' must be a pattern",
        ),
        ({"Type": "String", "MinLength": 2}, "a", "must have at least 2 characters, got 'a'"),
        ({"Type": "String", "MaxLength": 2}, "abc", "must have at most 2 characters, got 'abc'"),
        (
            {"Type": "String", "MaxLength": 1, "ConstraintDescription": "one letter"},
            "ab",
            "got 'ab'; one letter",
        ),
        ({"Type": "AWS::EC2::VPC::Id"}, "vpc-1", "parameter 'P' has a type .* 'AWS::EC2::VPC::Id'"),
        (
            {"Type": "AWS::SSM::Parameter::Value<String>"},
            "/no",
            "parameter 'P' needs the SSM parameter '/no'",
        ),
    ],
)
def test_fails_when_a_parameter_is_not_allowed(declaration, given, message):
    parameters = {} if given is None else {"P": given}

    with pytest.raises(TemplateRefused, match=message):
        bind({"Parameters": {"P": declaration}}, parameters)


def test_fails_when_a_parameter_is_given_that_is_not_declared():
    with pytest.raises(TemplateRefused, match="parameter 'Typo' must be declared in 'Parameters'"):
        bind({}, {"Typo": "1"})


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"Fn::Equals": [{"Ref": "Count"}, 2]}, True),
        ({"Fn::Equals": [{"Fn::FindInMap": ["Sizes", "eu-west-1", "small"]}, "2"]}, False),
        ({"Fn::Equals": [{"Ref": "AWS::NotificationARNs"}, []]}, True),
        ({"Fn::Not": [{"Condition": "Later"}]}, False),
        ({"Fn::And": [{"Condition": "Later"}, {"Fn::Equals": ["a", "b"]}]}, False),
        ({"Fn::Or": [{"Condition": "Later"}, {"Fn::Equals": ["a", "b"]}]}, True),
        ({"Condition": "Later"}, True),
    ],
)
def test_a_condition_decides_whether_a_resource_and_an_output_are_asked_for(condition, holds):
    bound = bind(
        {
            "Parameters": {"Count": {"Type": "Number", "Default": "2"}},
            "Mappings": MAPPINGS,
            "Conditions": {"Probed": condition, "Later": {"Fn::Equals": ["x", "x"]}},
            "Resources": {"Model": {**MODEL, "Condition": "Probed"}},
            "Outputs": {"Name": {"Value": {"Ref": "Model"}, "Condition": "Probed"}},
        }
    )

    assert list(bound.resources) == (["Model"] if holds else [])
    assert [output.name for output in bound.outputs] == (["Name"] if holds else [])


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (
            {"A": {"Condition": "B"}, "B": {"Condition": "A"}},
            "must not depend on themselves, got A -> B -> A",
        ),
        ({"A": {"Condition": "Nobody"}}, "the condition 'Nobody' must be in 'Conditions'"),
        ({"A": {"Fn::Equals": ["a"]}}, "the condition 'A' must be made of"),
        ({"A": "yes"}, "the condition 'A' must be made of"),
        ({"A": {"Fn::Equals": [{"Ref": "Model"}, "a"]}}, "condition 'A' refers to 'Model'"),
        ({"A": {"Fn::Xor": []}}, "'Fn::Xor' in condition 'A' is not a function"),
        ({"A": {"Fn::Equals": [{"Fn::ImportValue": "x"}, "a"]}}, "'x' has no value here"),
    ],
)
def test_fails_when_a_condition_cannot_be_decided(conditions, message):
    with pytest.raises(TemplateRefused, match=message):
        bind({"Conditions": conditions})


def test_resources_come_after_what_they_need_and_otherwise_as_declared():
    resources = {
        "Endpoint": {"Type": "T", "Properties": {"Config": {"Fn::GetAtt": ["Config", "Name"]}}},
        "Config": {"Type": "T", "Properties": {"Text": {"Fn::Sub": "${Model}"}}},
        "Alarm": {"Type": "T", "DependsOn": "Endpoint"},
        "Topic": {"Type": "T"},
        "Model": {"Type": "T", "Metadata": {"after": {"Ref": "Role"}}},
        "Role": {"Type": "T"},
    }

    bound = bind({"Resources": resources})

    assert list(bound.resources) == ["Topic", "Role", "Model", "Config", "Endpoint", "Alarm"]
    assert bound.resources["Config"].depends_on == ("Model",)


def test_only_the_branch_taken_makes_a_dependency():
    choice = {"Fn::If": ["Yes", {"Ref": "Model"}, {"Ref": "Probe"}]}
    resources = {"Probe": {"Type": "T", "Properties": {"Value": choice}}, "Model": MODEL}

    bound = bind({"Resources": resources, "Conditions": CONDITIONS})

    assert bound.resources["Probe"].depends_on == ("Model",)


def test_fails_when_resources_depend_on_each_other_and_names_them():
    resources = {
        "A": {"Type": "T", "Properties": {"Next": {"Ref": "B"}}},
        "B": {"Type": "T", "Properties": {"Next": {"Fn::Sub": "${C.Arn}"}}},
        "C": {"Type": "T", "DependsOn": ["A"]},
        "D": {"Type": "T"},
    }

    with pytest.raises(TemplateRefused, match=r"must not depend on themselves, got (A|B|C) -> ") as refusal:
        bind({"Resources": resources})

    assert all(name in str(refusal.value) for name in ("A", "B", "C"))
    assert "D" not in str(refusal.value)


@pytest.mark.parametrize(
    "sections",
    [
        {"Resources": {"Model": {**MODEL, "Condition": "No"}, "Probe": {"Type": "T", "DependsOn": "Model"}}},
        {
            "Resources": {
                "Model": {**MODEL, "Condition": "No"},
                "Probe": {"Type": "T", "Properties": {"Value": {"Ref": "Model"}}},
            }
        },
        {
            "Resources": {"Model": {**MODEL, "Condition": "No"}, "Probe": {"Type": "T"}},
            "Outputs": {"Probe": {"Value": {"Fn::GetAtt": ["Model", "Arn"]}}},
        },
    ],
)
def test_fails_when_something_needs_a_resource_whose_condition_does_not_hold(sections):
    with pytest.raises(TemplateRefused, match="'Probe' refers to 'Model', whose condition does not hold"):
        bind({**sections, "Conditions": CONDITIONS})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"Hooks": {}}, "'Hooks' is not a section the rehearsal knows"),
        ({"Transform": "AWS::Serverless-2016-10-31"}, "'Transform' names 'AWS::Serverless-2016-10-31'"),
        ({"Resources": {}}, "'Resources' must have at least one resource"),
        ({"Resources": {"Model": {}}}, "resource 'Model' must have a 'Type'"),
        (
            {"Resources": {"Model": {**MODEL, "CreationPolicy": {}}}},
            "'CreationPolicy' of resource 'Model' is not",
        ),
        (
            {"Resources": {"Model": {**MODEL, "DeletionPolicy": "Keep"}}},
            "must be one of Delete, Retain, .* 'Keep'",
        ),
        (
            {"Resources": {"Model": {**MODEL, "UpdateReplacePolicy": "RetainExceptOnCreate"}}},
            "'UpdateReplacePolicy' of resource 'Model' must be one of Delete, Retain, Snapshot",
        ),
        ({"Resources": {"Model": {**MODEL, "DependsOn": "X"}}}, "'DependsOn' of resource 'Model' must name"),
        ({"Resources": {"Model": {**MODEL, "Condition": "X"}}}, "'Condition' of resource 'Model' must be in"),
        ({"Outputs": {"Name": {}}}, "output 'Name' must have a 'Value'"),
        ({"Outputs": {"Name": {"Value": {"Ref": "X"}}}}, "output 'Name' refers to 'X'"),
        ({"Outputs": {"Name": {"Value": "a", "Condition": "X"}}}, "'Condition' of output 'Name' must be in"),
    ],
)
def test_fails_when_the_template_has_what_cannot_be_worked_with(sections, message):
    with pytest.raises(TemplateRefused, match=message):
        bind(sections)


def test_the_rule_about_the_version_of_the_bootstrap_stack_is_left_alone():
    name = "/cdk-bootstrap/hnb659fds/version"
    template = {
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": name}},
        "Rules": {
            "CheckBootstrapVersion": {
                "Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [["1"], {"Ref": "BootstrapVersion"}]}]}}]
            }
        },
    }

    bound = bind(template, ssm={name: "21"})

    assert bound.parameters == {"BootstrapVersion": name}


def test_reading_a_template_leaves_it_as_it_was():
    properties = {"Value": {"Fn::If": ["Yes", {"Ref": "Model"}, "b"]}}
    template = {
        "Conditions": CONDITIONS,
        "Resources": {"Model": MODEL, "Probe": {"Type": "T", "Properties": properties}},
    }
    before = repr(template)

    bind(template)

    assert repr(template) == before
