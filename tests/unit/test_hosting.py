"""The ways to host a model, and what of a release goes with each of them."""

import json

import pytest
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sns as sns

from cdk_ml_release import (
    Asynchronous,
    AutoRollback,
    MlPipeline,
    RealTime,
    SageMakerEndpointRelease,
    Scaling,
    Serverless,
    Shadow,
    TrafficShift,
)
from cdk_ml_release.runtime.contract import ReleaseSettings

PER_MINUTE = Scaling.on_invocations(minimum=2, maximum=6, per_instance_per_minute=600)
KNOWN_TO_A_RELEASE = {"ModelPackageArn", "ReleaseName", "Scaled", "Updates", "Versions"}


@pytest.fixture
def released(stack, repo, template):
    """The template that a release with such options deploys, and the template of its app."""

    def make(**options):
        release = SageMakerEndpointRelease(stack, "Production", repo=repo, **options)
        made = template(stack)
        return made.document(f"{release.stage_name}Prepare", "endpoint.template.json"), made

    return make


def properties(deployed, name):
    return deployed["Resources"][name]["Properties"]


def variant(deployed):
    (found,) = properties(deployed, "Config")["ProductionVariants"]
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaling": PER_MINUTE},
        {"hosting": Serverless()},
        {"hosting": Asynchronous(), "scaling": Scaling.on_backlog(maximum=3, per_instance=5)},
        {"network_isolation": True, "dashboard": False},
    ],
    ids=str,
)
def test_every_parameter_of_the_template_is_one_that_a_release_sets(released, options):
    deployed, app = released(**options)

    told = ReleaseSettings.from_environment(app.environment("ProductionPrepare")).parameters
    assert set(deployed["Parameters"]) - set(told) <= KNOWN_TO_A_RELEASE
    assert set(told) <= set(deployed["Parameters"])


def test_a_new_version_comes_by_canary_and_is_taken_back_by_alarms_on_its_own_requests(released):
    deployed, _ = released()

    shift = properties(deployed, "Endpoint")["DeploymentConfig"]
    assert shift["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "CANARY"
    assert shift["AutoRollbackConfiguration"]["Alarms"] == [
        {"AlarmName": {"Ref": "FailedRequestsAlarm"}},
        {"AlarmName": {"Ref": "SlowModelAlarm"}},
    ]
    for alarm in ("FailedRequestsAlarm", "SlowModelAlarm"):
        dimensions = {each["Name"]: each["Value"] for each in properties(deployed, alarm)["Dimensions"]}
        assert dimensions["EndpointConfigName"] == {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
        assert properties(deployed, alarm)["TreatMissingData"] == "notBreaching"


def test_the_limits_are_in_the_units_that_sagemaker_counts_in(released):
    deployed, _ = released(auto_rollback=AutoRollback(max_5xx_percent=0.5, max_p99_latency_ms=250))

    failed, slow = (properties(deployed, name) for name in ("FailedRequestsAlarm", "SlowModelAlarm"))
    assert (failed["MetricName"], failed["Statistic"], failed["Threshold"]) == ("Invocation5XXErrors", "Average", 0.005)
    assert (slow["MetricName"], slow["ExtendedStatistic"], slow["Threshold"]) == ("ModelLatency", "p99", 250_000)


def test_alarms_of_the_users_own_count_too(stack, released):
    own = cloudwatch.Alarm.from_alarm_arn(stack, "Own", "arn:aws:cloudwatch:us-east-1:111122223333:alarm:sales")

    deployed, app = released(auto_rollback=AutoRollback(alarms=[own], max_5xx_percent=None, max_p99_latency_ms=None))

    watched = properties(deployed, "Endpoint")["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert watched == [{"AlarmName": {"Ref": "Alarm0"}}]
    told = ReleaseSettings.from_environment(app.environment("ProductionPrepare")).parameters
    assert told["Alarm0"] == "sales"


def test_one_instance_is_replaced_all_at_once(released):
    deployed, _ = released(hosting=RealTime(instance_count=1))

    policy = properties(deployed, "Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert policy["TerminationWaitInSeconds"] == 600


def test_scaling_comes_after_the_endpoint_goes_before_it_and_keeps_what_it_has_grown_to(released):
    deployed, _ = released(scaling=PER_MINUTE.at("cron(0 6 * * ? *)", minimum=4, maximum=8))

    target, policy = deployed["Resources"]["ScalableTarget"], properties(deployed, "ScalingPolicy")
    assert target["DependsOn"] == "Endpoint"
    assert target["Condition"] == "Scaling"
    assert (target["Properties"]["MinCapacity"], target["Properties"]["MaxCapacity"]) == (2, 6)
    assert target["Properties"]["ResourceId"] == "endpoint/abalone-production/variant/AllTraffic"
    assert target["Properties"]["ScheduledActions"][0]["Schedule"] == "cron(0 6 * * ? *)"
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 600
    retained = properties(deployed, "Endpoint")["RetainAllVariantProperties"]
    assert retained == {"Fn::If": ["Updating", True, {"Ref": "AWS::NoValue"}]}
    (_, excluded, _) = properties(deployed, "Endpoint")["ExcludeRetainedVariantProperties"]["Fn::If"]
    assert excluded == [{"VariantPropertyType": "DataCaptureConfig"}]


def test_scaling_can_follow_the_requests_at_one_time(released):
    deployed, _ = released(scaling=Scaling.on_concurrency(minimum=2, maximum=4, per_instance=8))

    metric = properties(deployed, "ScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]
    assert metric["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }


def test_without_scaling_nothing_may_scale(released):
    deployed, app = released()

    assert "ScalableTarget" not in deployed["Resources"]
    assert app.allowed("ProductionDeploymentRole", "application-autoscaling:RegisterScalableTarget") == []
    assert app.allowed("ProductionPrepareRole", "cloudformation:UpdateStack") == []


def test_scaling_may_be_taken_away_before_the_instances_change(released):
    _, app = released(scaling=PER_MINUTE)

    assert len(app.allowed("ProductionPrepareRole", "cloudformation:UpdateStack")) == 1


def test_serverless_has_no_instances_no_fleets_and_no_capture(released):
    deployed, _ = released(hosting=Serverless(memory_mib=3072, max_concurrency=5, provisioned_concurrency=2))

    config = properties(deployed, "Config")
    assert variant(deployed)["ServerlessConfig"] == {
        "MemorySizeInMB": 3072,
        "MaxConcurrency": 5,
        "ProvisionedConcurrency": 2,
    }
    assert "InstanceType" not in variant(deployed)
    assert "DataCaptureConfig" not in config
    assert "DeploymentConfig" not in properties(deployed, "Endpoint")


def test_asynchronous_requests_come_from_s3_and_go_there(stack, released):
    done, failed = sns.Topic(stack, "Done"), sns.Topic(stack, "Failed")

    deployed, app = released(
        hosting=Asynchronous(max_concurrency_per_instance=4, success_topic=done, error_topic=failed)
    )

    queue = properties(deployed, "Config")["AsyncInferenceConfig"]
    assert queue["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 4}
    assert queue["OutputConfig"] == {
        "S3OutputPath": {"Fn::Sub": "${AsyncUri}/output/"},
        "S3FailurePath": {"Fn::Sub": "${AsyncUri}/failure/"},
        "NotificationConfig": {"SuccessTopic": {"Ref": "SuccessTopicArn"}, "ErrorTopic": {"Ref": "ErrorTopicArn"}},
    }
    assert len(app.allowed("ProductionRole", "sns:Publish")) == 2
    assert any("/async/abalone-production/*" in each for each in app.allowed("ProductionRole", "s3:PutObject"))


def test_an_idle_queue_needs_no_instance_and_the_first_request_wakes_one(released):
    deployed, _ = released(hosting=Asynchronous(), scaling=Scaling.on_backlog(maximum=3, per_instance=5))

    assert properties(deployed, "ScalableTarget")["MinCapacity"] == 0
    assert properties(deployed, "WakeUpAlarm")["MetricName"] == "HasBacklogWithoutCapacity"
    assert properties(deployed, "WakeUpAlarm")["AlarmActions"] == [{"Ref": "WakeUpPolicy"}]


def test_the_containers_run_in_the_users_network_if_there_is_one(stack, released):
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)

    deployed, app = released(vpc=vpc, network_isolation=True)

    model = properties(deployed, "Model")
    assert model["VpcConfig"] == {
        "Subnets": [{"Ref": "Subnet0"}, {"Ref": "Subnet1"}],
        "SecurityGroupIds": [{"Ref": "SecurityGroup0"}],
    }
    assert model["EnableNetworkIsolation"] is True
    told = ReleaseSettings.from_environment(app.environment("ProductionPrepare")).parameters
    assert told["Subnet0"].startswith("${VpcPrivateSubnet1")
    assert app.allowed("ProductionRole", "ec2:CreateNetworkInterface") == ["*"]


def test_the_dashboard_shows_traffic_errors_latency_capacity_and_versions(released):
    deployed, _ = released()

    dashboard = properties(deployed, "Dashboard")
    text = dashboard["DashboardBody"]["Fn::Sub"]
    body = json.loads(text.replace("${Versions}", "[]"))
    shown = {metric[1] for widget in body["widgets"] for metric in widget["properties"]["metrics"]}
    assert dashboard["DashboardName"] == "abalone-production"
    assert {"Invocations", "Invocation5XXErrors", "ModelLatency", "InvocationsPerInstance", "CPUUtilization"} <= shown
    assert text.count('"vertical": ${Versions}') == len(body["widgets"]) == 4


def test_a_shadow_answers_beside_the_version_in_service_and_is_watched(released):
    deployed, _ = released(hosting=RealTime(shadow=Shadow(percent=50)))

    (branch, (shadow,), nothing) = properties(deployed, "Config")["ShadowProductionVariants"]["Fn::If"]
    assert (branch, nothing) == ("Shadowed", {"Ref": "AWS::NoValue"})
    assert shadow["InitialVariantWeight"] == 0.5
    assert shadow["ModelName"] == {"Fn::GetAtt": ["ShadowModel", "ModelName"]}
    assert deployed["Resources"]["ShadowModel"]["Condition"] == "Shadowed"
    assert deployed["Parameters"]["ShadowModelPackageArn"] == {"Type": "String", "Default": ""}
    assert deployed["Resources"]["ShadowFailedRequestsAlarm"]["Condition"] == "Shadowed"
    (_, beside, _) = properties(deployed, "Endpoint")["DeploymentConfig"]["Fn::If"]
    assert beside["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 1800
    watched = [each["AlarmName"]["Ref"] for each in beside["AutoRollbackConfiguration"]["Alarms"]]
    assert watched == ["ShadowFailedRequestsAlarm", "ShadowSlowModelAlarm"]


def test_the_shadow_is_deployed_before_the_release(stack, repo, build, source, template):
    release = SageMakerEndpointRelease(stack, "Production", repo=repo, hosting=RealTime(shadow=Shadow()))
    MlPipeline(stack, "Pipeline", source=source, stages=[build, release])

    actions = template(stack).stages()["Production"]
    assert {name: action["RunOrder"] for name, action in actions.items()} == {
        "Prepare": 1,
        "Shadow": 2,
        "Deploy": 3,
        "Verify": 4,
    }
    assert actions["Shadow"]["Configuration"]["TemplateConfiguration"] == "ProductionTemplate::shadow.json"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capture_percentage": 100}, "'capture_percentage' cannot be used with serverless hosting, which captures no"),
        ({"network_isolation": True}, "'vpc' or 'network_isolation' cannot be used with serverless hosting"),
        ({"scaling": PER_MINUTE}, "'scaling' cannot be used with serverless hosting, whose capacity comes with"),
        ({"traffic": TrafficShift.all_at_once()}, "'traffic' cannot be used with serverless hosting, which has no fl"),
        ({"auto_rollback": AutoRollback()}, "'auto_rollback' cannot be used with serverless hosting"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_refuses_what_serverless_cannot_do(stack, repo, options, message):
    with pytest.raises(ValueError, match=message):
        SageMakerEndpointRelease(stack, "Production", repo=repo, hosting=Serverless(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capture_percentage": 5}, "'capture_percentage' cannot be used with asynchronous hosting, whose inputs"),
        ({"scaling": PER_MINUTE}, "'scaling' on invocations cannot be used with this hosting, which knows backlog"),
    ],
)
def test_refuses_what_a_queue_cannot_do(stack, repo, options, message):
    with pytest.raises(ValueError, match=message):
        SageMakerEndpointRelease(stack, "Production", repo=repo, hosting=Asynchronous(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hosting": RealTime(instance_count=1), "traffic": TrafficShift.canary()},
            r"'traffic' \(canary 1 instance, bake 10 min\) needs at least 2 instances to divide, got 1",
        ),
        (
            {"hosting": RealTime(instance_count=9), "scaling": PER_MINUTE},
            r"'instance_count' \(9\) must be within the limits of 'scaling', 2 to 6",
        ),
        (
            {"scaling": Scaling.on_invocations(minimum=0, maximum=2, per_instance_per_minute=5)},
            "'minimum' of 'scaling' must be at least 1, got 0; only an asynchronous endpoint can do without",
        ),
        (
            {"scaling": Scaling.on_backlog(maximum=2, per_instance=5)},
            "'scaling' on backlog cannot be used with this hosting, which knows invocations and concurrency",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refuses_options_that_contradict_each_other(stack, repo, options, message):
    with pytest.raises(ValueError, match=message):
        SageMakerEndpointRelease(stack, "Production", repo=repo, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Serverless(memory_mib=1500), "'memory_mib' must be a multiple of 1024, got 1500"),
        (lambda: Serverless(memory_mib=8192), "'memory_mib' must be a whole number from 1024 to 6144, got 8192"),
        (lambda: Serverless(max_concurrency=201), "'max_concurrency' must be a whole number from 1 to 200, got 201"),
        (
            lambda: Serverless(max_concurrency=5, provisioned_concurrency=6),
            "'provisioned_concurrency' must be a whole number from 1 to 5, got 6",
        ),
        (lambda: Asynchronous(shadow=Shadow()), "'shadow' cannot be used with asynchronous hosting"),
        (lambda: Shadow(percent=0), "'percent' must be a whole number from 1 to 100, got 0"),
        (lambda: Shadow(time=Duration.minutes(1)), "'time' of the shadow must be at least 300 seconds, got 60"),
        (
            lambda: Scaling.on_invocations(minimum=3, maximum=2, per_instance_per_minute=1),
            r"'maximum' must not be below 'minimum' \(3\), got 2",
        ),
        (
            lambda: Scaling.on_concurrency(minimum=1, maximum=2, per_instance=0),
            "the target of 'scaling' must be a number above 0",
        ),
        (lambda: PER_MINUTE.at("6 a.m.", minimum=1, maximum=2), "'schedule' must be cron"),
        (lambda: AutoRollback(max_5xx_percent=101), "'max_5xx_percent' must be a number above 0 and at most 100"),
        (lambda: AutoRollback(max_p99_latency_ms=0), "'max_p99_latency_ms' must be a number above 0 known at"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refuses_numbers_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refuses_more_alarms_than_sagemaker_looks_at(stack):
    own = cloudwatch.Alarm.from_alarm_arn(stack, "Own", "arn:aws:cloudwatch:us-east-1:111122223333:alarm:sales")

    with pytest.raises(ValueError, match="'alarms' must leave room within SageMaker's 10 alarms, got 11 in all"):
        AutoRollback(alarms=[own] * 9)
