import pytest

from cdk_ml_release.rehearsal.cloud.policy import ANY_RESOURCE, PolicyError, decide, may_assume

JOB = "arn:aws:sagemaker:eu-west-1:111122223333:training-job/abalone-train-1"
JOBS = "arn:aws:sagemaker:eu-west-1:111122223333:training-job/abalone-*"
ROLE = "arn:aws:iam::111122223333:role/service-role/Builder"
SESSION = "arn:aws:sts::111122223333:assumed-role/Builder/build-17"
VERSION = "2012-10-17"


def allow(action="sagemaker:CreateTrainingJob", resource=JOBS, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements):
    return {"Version": VERSION, "Statement": list(statements)}


def ask(*statements, action="sagemaker:CreateTrainingJob", resource=JOB, context=None):
    return decide([policy(*statements)], action=action, resource=resource, context=context or {})


def under(condition, **context):
    """Ask a statement with a condition; the context's names have _ for the colon."""
    keys = {name.replace("_", ":", 1): value for name, value in context.items()}
    return ask(allow(Condition=condition), context=keys).allowed


def test_nothing_is_allowed_without_a_policy():
    decision = decide([], action="s3:GetObject", resource="arn:aws:s3:::bucket/key", context={})

    assert not decision.allowed
    assert decision.reason == "no statement allows it"


def test_a_statement_allows_its_action_on_its_resource():
    decision = ask(allow(Sid="Train"))

    assert decision.allowed
    assert decision.reason == "statement 'Train' allows it"


def test_one_statement_need_not_be_in_a_list():
    document = {"Version": VERSION, "Statement": allow()}

    assert decide([document], action="sagemaker:CreateTrainingJob", resource=JOB, context={}).allowed


def test_a_denial_wins_wherever_it_stands():
    denial = {"Effect": "Deny", "Action": "sagemaker:*", "Resource": "*", "Sid": "Freeze"}

    for order in ((allow(), denial), (denial, allow())):
        decision = ask(*order)

        assert not decision.allowed
        assert decision.reason == "statement 'Freeze' denies it"


def test_a_denial_in_another_policy_wins_too():
    denial = policy({"Effect": "Deny", "Action": "*", "Resource": "*"})

    decision = decide([policy(allow()), denial], action="sagemaker:CreateTrainingJob", resource=JOB, context={})

    assert decision.reason == "statement 1 of policy 2 denies it"


def test_a_refusal_says_what_nearly_allowed_it():
    on_others = allow(resource="arn:aws:sagemaker:eu-west-1:111122223333:training-job/other-*", Sid="Others")
    passed_on = allow(Sid="Passed", Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})

    decision = ask(on_others, passed_on, context={"iam:PassedToService": "lambda.amazonaws.com"})

    assert not decision.allowed
    assert decision.reason == (
        "no statement allows it: statement 'Others' allows it only on "
        "arn:aws:sagemaker:eu-west-1:111122223333:training-job/other-*; statement 'Passed' would allow it, "
        "but its condition does not hold: StringEquals iam:PassedToService 'sagemaker.amazonaws.com' "
        "(it is 'lambda.amazonaws.com')"
    )


@pytest.mark.parametrize(
    ("pattern", "action", "allowed"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("S3:getobject", "s3:GetObject", True),
        ("s3:Get*", "s3:GetObject", True),
        ("s3:*Object", "s3:GetObject", True),
        ("s3:GetObjec?", "s3:GetObject", True),
        ("*", "s3:GetObject", True),
        (["s3:PutObject", "s3:GetObject"], "s3:GetObject", True),
        ("s3:GetObject", "s3:GetObjectVersion", False),
        ("s3:GetObject?", "s3:GetObject", False),
        ("s3:List*", "s3:GetObject", False),
        ("s3:Get.bject", "s3:GetObject", False),
        ([], "s3:GetObject", False),
    ],
)
def test_an_action_is_compared_without_case_and_with_wildcards(pattern, action, allowed):
    assert ask(allow(action=pattern, resource="*"), action=action).allowed is allowed


@pytest.mark.parametrize(
    ("pattern", "resource", "allowed"),
    [
        ("*", JOB, True),
        ("*", "*", True),
        (JOBS, JOB, True),
        ("arn:aws:sagemaker:*:111122223333:training-job/*", JOB, True),
        ("arn:aws:sagemaker:*/abalone-train-1", JOB, True),
        ("arn:aws:s3:::bucket/runs/*/release.json", "arn:aws:s3:::bucket/runs/1/2/release.json", True),
        ("arn:aws:s3:::buck?t", "arn:aws:s3:::bucket", True),
        (["arn:aws:s3:::a", JOBS], JOB, True),
        (JOBS.replace("abalone", "Abalone"), JOB, False),
        ("arn:aws:sagemaker:eu-west-1:111122223333:processing-job/*", JOB, False),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key", False),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", False),
        (JOBS, "*", False),
    ],
)
def test_a_resource_is_compared_with_case_and_with_wildcards_that_span_slashes_and_colons(pattern, resource, allowed):
    assert ask(allow(resource=pattern), resource=resource).allowed is allowed


def test_not_action_and_not_resource_name_what_is_left_out():
    other_actions = {"Effect": "Allow", "NotAction": ["iam:*", "s3:*"], "Resource": "*"}
    other_resources = {"Effect": "Allow", "Action": "*", "NotResource": JOBS}

    assert ask(other_actions).allowed
    assert not ask(other_actions, action="iam:CreateRole").allowed
    assert ask(other_resources, resource="arn:aws:s3:::bucket").allowed
    assert not ask(other_resources).allowed


def test_any_resource_is_allowed_by_every_statement_with_the_action():
    assert ask(allow(), resource=ANY_RESOURCE).allowed
    assert ask({"Effect": "Allow", "Action": "*", "NotResource": "*"}, resource=ANY_RESOURCE).allowed
    assert not ask(allow(action="s3:*"), resource=ANY_RESOURCE).allowed


def test_any_resource_is_denied_only_by_a_statement_on_all_of_them():
    def denied_on(**resources):
        return not ask(allow(), {"Effect": "Deny", "Action": "*", **resources}, resource=ANY_RESOURCE).allowed

    assert denied_on(Resource="*")
    assert not denied_on(Resource=JOBS)
    assert not denied_on(NotResource=JOBS)


@pytest.mark.parametrize(
    ("resource", "context", "allowed"),
    [
        ("arn:aws:s3:::${aws:PrincipalAccount}-data", {"aws:PrincipalAccount": "111122223333"}, True),
        ("arn:aws:s3:::${AWS:principalaccount}-data", {"aws:PrincipalAccount": "111122223333"}, True),
        ("arn:aws:s3:::${aws:PrincipalAccount}-data", {"aws:PrincipalAccount": "444455556666"}, False),
        ("arn:aws:s3:::${aws:PrincipalAccount}-data", {}, False),
        ("arn:aws:s3:::${aws:PrincipalAccount, '111122223333'}-data", {}, True),
        ("arn:aws:s3:::${aws:PrincipalAccount}-*", {"aws:PrincipalAccount": "1*"}, False),
        ("arn:aws:s3:::111122223333-dat${?}", {}, False),
    ],
)
def test_a_policy_variable_stands_for_a_value_of_the_context(resource, context, allowed):
    decision = ask(
        allow(action="s3:*", resource=resource),
        action="s3:ListBucket",
        resource="arn:aws:s3:::111122223333-data",
        context=context,
    )

    assert decision.allowed is allowed


def test_an_escaped_wildcard_is_a_plain_character():
    statement = allow(action="s3:*", resource="arn:aws:s3:::bucket/${*}.csv")

    assert ask(statement, action="s3:GetObject", resource="arn:aws:s3:::bucket/*.csv").allowed
    assert not ask(statement, action="s3:GetObject", resource="arn:aws:s3:::bucket/a.csv").allowed


def test_a_policy_of_an_older_version_has_no_variables():
    statement = allow(resource="arn:aws:s3:::${aws:PrincipalAccount}")
    context = {"aws:PrincipalAccount": "111122223333"}

    decision = decide(
        [{"Version": "2008-10-17", "Statement": statement}],
        action="sagemaker:CreateTrainingJob",
        resource="arn:aws:s3:::111122223333",
        context=context,
    )

    assert not decision.allowed


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "holds"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["b", "a"], "a", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "A", "a", False),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringNotEqualsIgnoreCase", "A", "a", False),
        ("StringLike", "runs/*", "runs/1/2", True),
        ("StringLike", "runs/?", "runs/12", False),
        ("StringNotLike", "runs/*", "data/1", True),
        ("StringNotLike", "runs/*", "runs/1", False),
        ("ArnEquals", "arn:aws:iam::*:role/*", ROLE, True),
        ("ArnLike", "arn:aws:sagemaker:*:111122223333:training-job/*", JOB, True),
        ("ArnLike", "arn:aws:sagemaker:*:training-job/*", JOB, False),
        ("ArnLike", "*", JOB, False),
        ("ArnNotEquals", ROLE, ROLE, False),
        ("ArnNotLike", "arn:aws:s3:::*", ROLE, True),
        ("Bool", "true", "true", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "true", False),
        ("NumericEquals", "10", "10.0", True),
        ("NumericNotEquals", 10, "10", False),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "10", "9", False),
        ("NumericEquals", "10", "ten", False),
        ("DateLessThan", "2026-06-01T00:00:00Z", "2026-05-31T23:59:59Z", True),
        ("DateGreaterThan", "2026-06-01T00:00:00Z", "1780272001", True),
        ("DateGreaterThan", "2026-06-01", "2026-05-01", False),
        ("DateEquals", "2026-06-01T02:00:00+02:00", "2026-06-01T00:00:00Z", True),
        ("Null", "true", "there", False),
        ("Null", "false", "there", True),
    ],
)
def test_an_operator_compares_the_value_of_its_key(operator, wanted, value, holds):
    assert under({operator: {"my:key": wanted}}, my_key=value) is holds


@pytest.mark.parametrize(
    ("operator", "holds"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringLike", False),
        ("StringNotLike", True),
        ("ArnLike", False),
        ("ArnNotLike", True),
        ("Bool", False),
        ("NumericLessThan", False),
        ("DateNotEquals", True),
        ("StringEqualsIfExists", True),
        ("NumericLessThanIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", True),
    ],
)
def test_an_operator_has_an_answer_for_a_key_that_is_missing(operator, holds):
    assert under({operator: {"my:key": "1"}}) is holds


def test_null_asks_whether_the_key_is_missing():
    assert under({"Null": {"my:key": "true"}})
    assert not under({"Null": {"my:key": "false"}})


@pytest.mark.parametrize(
    ("operator", "values", "holds"),
    [
        ("ForAllValues:StringEquals", ("team", "cost"), True),
        ("ForAllValues:StringEquals", ("team", "other"), False),
        ("ForAnyValue:StringEquals", ("other", "team"), True),
        ("ForAnyValue:StringEquals", ("other",), False),
        ("ForAllValues:StringNotLike", ("other", "more"), True),
        ("ForAllValues:StringNotLike", ("other", "team"), False),
        ("ForAnyValue:StringNotEquals", ("other", "team"), True),
        ("ForAllValues:StringEqualsIfExists", ("team",), True),
    ],
)
def test_a_quantifier_says_how_many_values_must_fit(operator, values, holds):
    assert under({operator: {"aws:TagKeys": ["team", "cost"]}}, aws_TagKeys=values) is holds


def test_every_key_and_every_operator_must_hold():
    condition = {"StringEquals": {"my:a": "1", "my:b": "2"}, "Bool": {"my:c": "true"}}

    assert under(condition, my_a="1", my_b="2", my_c="true")
    assert not under(condition, my_a="1", my_b="3", my_c="true")
    assert not under(condition, my_a="1", my_b="2", my_c="false")


def test_names_of_condition_keys_have_no_case():
    assert under({"StringEquals": {"IAM:passedtoservice": "a"}}, iam_PassedToService="a")


@pytest.mark.parametrize("operator", ["StringEquals", "ArnLike"])
def test_a_condition_may_hold_a_variable(operator):
    condition = {operator: {"aws:SourceArn": "arn:aws:iam::${aws:PrincipalAccount}:root"}}
    source = "arn:aws:iam::111122223333:root"

    assert under(condition, aws_SourceArn=source, aws_PrincipalAccount="111122223333")
    assert not under(condition, aws_SourceArn=source, aws_PrincipalAccount="444455556666")
    assert not under(condition, aws_SourceArn=source)


def test_a_denial_whose_condition_does_not_hold_is_no_denial():
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    denial = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": insecure}

    assert ask(allow(), denial, context={"aws:SecureTransport": "true"}).allowed
    assert not ask(allow(), denial, context={"aws:SecureTransport": "false"}).allowed


@pytest.mark.parametrize("operator", ["IpAddress", "StringMatches", "ForSomeValues:StringEquals", "NullIfExists"])
def test_fails_when_an_operator_is_not_known(operator):
    with pytest.raises(PolicyError, match=f"operator '{operator}' is not known; known are StringEquals"):
        under({operator: {"my:key": "1"}}, my_key="1")


def test_an_unknown_operator_is_no_matter_where_the_statement_is_not_about_the_call():
    odd = allow(action="s3:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})

    assert ask(odd, allow()).allowed


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            {"Action": "*", "Resource": "*"},
            "'Effect' of statement 1 of the policy must be 'Allow' or 'Deny', got None",
        ),
        ({"Effect": "Allow", "Resource": "*"}, "must have either 'Action' or 'NotAction'"),
        ({"Effect": "Allow", "Action": "*"}, "must have either 'Resource' or 'NotResource'"),
        (allow(action="*", NotAction="s3:*"), "must have either 'Action' or 'NotAction'"),
        (
            allow(resource={"Fn::GetAtt": ["Bucket", "Arn"]}),
            "'Resource' of statement 1 of the policy must be text",
        ),
        (allow(Principal="*"), "has a 'Principal': no identity policy"),
        (allow(NotPrincipal="*"), "'NotPrincipal' of statement 1 of the policy is not known here"),
        (allow(resource="${a b}"), r"policy variable '\$\{a b\}' cannot be read"),
        (allow(Condition=[]), "'Condition' must be a map"),
        (allow(Condition={"StringEquals": "a"}), "condition 'StringEquals' must be a map"),
        (allow(Condition={"NumericEquals": {"my:key": "ten"}}), "'ten' is neither a number nor a date"),
        ("Allow", "'Statement' of the policy must be a map or a list of maps"),
    ],
)
def test_fails_when_a_statement_cannot_be_read(statement, message):
    with pytest.raises(PolicyError, match=message):
        ask(statement, context={"my:key": "1"})


def test_fails_when_a_policy_has_no_statements():
    with pytest.raises(PolicyError, match="'Statement' of policy 2 must be a map or a list of maps, got None"):
        decide([policy(), {}], action="s3:GetObject", resource="*", context={})


def trust(principal, **more):
    return policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more})


@pytest.mark.parametrize(
    ("trusted", "principal", "allowed"),
    [
        ({"Service": "sagemaker.amazonaws.com"}, "sagemaker.amazonaws.com", True),
        ({"Service": ["a.amazonaws.com", "sagemaker.amazonaws.com"]}, "sagemaker.amazonaws.com", True),
        ({"Service": "codebuild.amazonaws.com"}, "sagemaker.amazonaws.com", False),
        ({"Service": "*"}, "sagemaker.amazonaws.com", False),
        ("*", "sagemaker.amazonaws.com", True),
        ({"AWS": "*"}, ROLE, True),
        ({"AWS": "*"}, "sagemaker.amazonaws.com", False),
        ({"AWS": ROLE}, ROLE, True),
        ({"AWS": ROLE}, SESSION, True),
        ({"AWS": SESSION}, SESSION, True),
        ({"AWS": "111122223333"}, ROLE, True),
        ({"AWS": "arn:aws:iam::111122223333:root"}, ROLE, True),
        ({"AWS": "arn:aws:iam::111122223333:root"}, SESSION, True),
        ({"AWS": "arn:aws:iam::444455556666:root"}, ROLE, False),
        ({"AWS": "arn:aws:iam::444455556666:role/Builder"}, SESSION, False),
        ({"AWS": "arn:aws:iam::111122223333:role/Build*"}, SESSION, False),
        ({"AWS": "arn:aws:iam::111122223333:role/Other"}, SESSION, False),
        ({"Federated": "cognito-identity.amazonaws.com"}, "cognito-identity.amazonaws.com", False),
    ],
)
def test_a_role_is_assumed_only_by_whom_it_trusts(trusted, principal, allowed):
    assert may_assume(trust(trusted), principal=principal, context={}).allowed is allowed


def test_trust_may_ask_for_a_condition():
    document = trust(
        {"Service": "sagemaker.amazonaws.com"},
        Condition={"StringEquals": {"aws:SourceAccount": "111122223333"}},
    )

    ours = may_assume(document, principal="sagemaker.amazonaws.com", context={"aws:SourceAccount": "111122223333"})
    theirs = may_assume(document, principal="sagemaker.amazonaws.com", context={"aws:SourceAccount": "444455556666"})

    assert ours.allowed
    assert not theirs.allowed
    assert "condition does not hold: StringEquals aws:SourceAccount '111122223333'" in theirs.reason


def test_a_refusal_to_trust_says_whom_the_role_trusts():
    decision = may_assume(
        trust({"Service": "codebuild.amazonaws.com"}), principal="sagemaker.amazonaws.com", context={}
    )

    assert decision.reason == (
        "no statement allows it: statement 1 of the policy trusts only {'Service': 'codebuild.amazonaws.com'}"
    )


def test_trust_for_another_action_is_no_trust():
    document = policy({"Effect": "Allow", "Action": "sts:TagSession", "Principal": "*"})

    assert not may_assume(document, principal=ROLE, context={}).allowed


def test_a_denial_of_trust_wins():
    denial = {"Effect": "Deny", "Action": "sts:*", "Principal": {"AWS": ROLE}}
    document = {"Version": VERSION, "Statement": [*trust("*")["Statement"], denial]}

    assert not may_assume(document, principal=SESSION, context={}).allowed


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Effect": "Allow", "Action": "sts:AssumeRole"}, "must say 'Principal', as in every trust policy"),
        (
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Aws": "*"}},
            "must be '\\*' or a map of",
        ),
        ({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": ["*"]}, "must be '\\*' or a map of"),
        (
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": {"Ref": "R"}}},
            "'AWS' of .* must be text",
        ),
        (
            {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": "*"},
            "'NotPrincipal' .* is not known here",
        ),
    ],
)
def test_fails_when_a_trust_policy_cannot_be_read(statement, message):
    with pytest.raises(PolicyError, match=message):
        may_assume(policy(statement), principal=ROLE, context={})
