"""SageMakerEndpointRelease: a registered model version becomes the model in service."""

import pytest
from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_ml_release import MlArtifactRepo, MlPipeline, RealTime, SageMakerEndpointRelease, StageInput
from cdk_ml_release.runtime.contract import ReleaseSettings, endpoint_record_key
from cdk_ml_release.runtime.deploy import release_name

ARN = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:"


@pytest.fixture
def release(stack, repo):
    return SageMakerEndpointRelease(stack, "Production", repo=repo)


@pytest.fixture
def released(stack, source, build, release, template):
    """The template of a pipeline that builds and releases."""
    MlPipeline(stack, "Pipeline", source=source, stages=[build, release])
    return template(stack)


@pytest.fixture
def endpoint(template):
    """The template that a release deploys."""

    def deployed(release):
        return template(release.node.scope).document(f"{release.stage_name}Prepare", "endpoint.template.json")

    return deployed


def name_of(made, kind, start):
    """The logical id of the only such resource."""
    (found,) = [name for name in made.all(kind) if name.startswith(start)]
    return found


def test_the_actions_run_one_after_the_other(released):
    actions = released.stages()["Production"]

    assert [(name, action["RunOrder"]) for name, action in actions.items()] == [
        ("Prepare", 1),
        ("Deploy", 2),
        ("Verify", 3),
    ]


def test_the_programs_read_back_the_settings_of_the_stack(released):
    bucket, role = name_of(released, "AWS::S3::Bucket", "Repo"), name_of(released, "AWS::IAM::Role", "ProductionRole")

    for project in ("ProductionPrepare", "ProductionVerify"):
        assert ReleaseSettings.from_environment(released.environment(project)) == ReleaseSettings(
            endpoint_name="abalone-production",
            stack_name="abalone-production-endpoint",
            bucket=f"${{{bucket}}}",
            parameters={"ModelRoleArn": f"${{{role}.Arn}}", "CaptureUri": f"s3://${{{bucket}}}/capture"},
        )


def test_a_release_takes_the_manifest_of_its_own_execution(released):
    assert released.action_environment("Production", "Prepare") == {
        "ML_MANIFEST_KEY": "#{BuildChoiceChoose.MANIFEST_KEY}"
    }


def test_the_check_knows_what_was_deployed(released):
    assert released.action_environment("Production", "Verify") == {
        "ML_MANIFEST_KEY": "#{BuildChoiceChoose.MANIFEST_KEY}",
        "ML_RELEASE_NAME": "#{ProductionPrepare.RELEASE_NAME}",
    }


def test_cloudformation_deploys_what_was_prepared_with_a_role_of_its_own(released):
    deploy = released.stages()["Production"]["Deploy"]["Configuration"]

    role = name_of(released, "AWS::IAM::Role", "ProductionDeploymentRole")
    assert deploy["ActionMode"] == "CREATE_UPDATE"
    assert deploy["StackName"] == "abalone-production-endpoint"
    assert deploy["TemplatePath"] == "ProductionTemplate::template.json"
    assert deploy["TemplateConfiguration"] == "ProductionTemplate::configuration.json"
    assert deploy["RoleArn"] == f"${{{role}.Arn}}"
    assert "Capabilities" not in deploy


def test_a_release_that_fails_is_followed_by_the_one_before(released):
    stages = released.one("AWS::CodePipeline::Pipeline")["Stages"]

    assert {stage["Name"]: stage.get("OnFailure") for stage in stages} == {
        "Source": None,
        "Build": None,
        "BuildChoice": None,
        "Production": {"Result": "ROLLBACK"},
    }


def test_the_endpoint_keeps_its_name_and_serves_on_two_instances(release, endpoint):
    resources = endpoint(release)["Resources"]

    (variant,) = resources["Config"]["Properties"]["ProductionVariants"]
    assert resources["Endpoint"]["Properties"]["EndpointName"] == "abalone-production" == release.endpoint_name
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 2)


def test_the_endpoint_may_be_called_otherwise_and_be_larger(stack, repo, endpoint):
    release = SageMakerEndpointRelease(
        stack,
        "Production",
        repo=repo,
        endpoint_name="age-calculator",
        hosting=RealTime(instance_type="ml.c5.xlarge", instance_count=1),
    )

    resources = endpoint(release)["Resources"]
    (variant,) = resources["Config"]["Properties"]["ProductionVariants"]
    assert resources["Endpoint"]["Properties"]["EndpointName"] == "age-calculator"
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c5.xlarge", 1)


def test_model_and_configuration_are_named_after_the_release(release, endpoint):
    resources = endpoint(release)["Resources"]

    assert resources["Model"]["Properties"]["ModelName"] == {"Ref": "ReleaseName"}
    assert resources["Config"]["Properties"]["EndpointConfigName"] == {"Ref": "ReleaseName"}


def test_the_model_is_a_registered_version(release, endpoint):
    model = endpoint(release)["Resources"]["Model"]["Properties"]

    assert model["Containers"] == [{"ModelPackageName": {"Ref": "ModelPackageArn"}}]


def test_all_requests_and_answers_are_captured_in_a_form_that_can_be_read(release, endpoint):
    capture = endpoint(release)["Resources"]["Config"]["Properties"]["DataCaptureConfig"]

    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 100)
    assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert capture["CaptureContentTypeHeader"] == {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    }


def test_a_share_of_the_requests_may_be_captured(stack, repo, endpoint):
    release = SageMakerEndpointRelease(stack, "Production", repo=repo, capture_percentage=5)

    capture = endpoint(release)["Resources"]["Config"]["Properties"]["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 5


def test_nothing_is_captured_if_none_is_wanted(stack, repo, endpoint, template):
    release = SageMakerEndpointRelease(stack, "Production", repo=repo, capture_percentage=0)

    deployed = endpoint(release)
    assert "DataCaptureConfig" not in deployed["Resources"]["Config"]["Properties"]
    assert "CaptureUri" not in deployed["Parameters"]
    assert template(stack).allowed("ProductionRole", "s3:PutObject") == []


def test_there_is_no_key_by_default(release, endpoint):
    assert "KmsKeyArn" not in endpoint(release)["Parameters"]


def test_a_key_encrypts_the_volumes_and_what_is_captured(stack, endpoint, template):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    release = SageMakerEndpointRelease(stack, "Production", repo=repo)

    config = endpoint(release)["Resources"]["Config"]["Properties"]
    made = template(stack)
    key = f"${{{name_of(made, 'AWS::KMS::Key', 'Key')}.Arn}}"
    assert config["KmsKeyId"] == config["DataCaptureConfig"]["KmsKeyId"] == {"Ref": "KmsKeyArn"}
    assert ReleaseSettings.from_environment(made.environment("ProductionPrepare")).parameters["KmsKeyArn"] == key
    assert set(made.allowed("ProductionRole", "kms:Decrypt")) == {key}
    assert made.allowed("ProductionDeploymentRole", "kms:CreateGrant") == [key]


def test_disks_that_encrypt_themselves_are_given_no_key(stack, endpoint):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    release = SageMakerEndpointRelease(stack, "Production", repo=repo, hosting=RealTime(instance_type="ml.g5.xlarge"))

    config = endpoint(release)["Resources"]["Config"]["Properties"]
    assert "KmsKeyId" not in config
    assert config["DataCaptureConfig"]["KmsKeyId"] == {"Ref": "KmsKeyArn"}


def test_the_deployment_may_touch_this_endpoint_only(release, stack, template):
    made = template(stack)

    own = [f"{ARN}endpoint/abalone-production"]
    configs = [f"{ARN}endpoint-config/abalone-production-*"]
    assert made.allowed("ProductionDeploymentRole", "sagemaker:CreateEndpoint") == own + configs
    assert made.allowed("ProductionDeploymentRole", "sagemaker:UpdateEndpoint") == own + configs
    assert made.allowed("ProductionDeploymentRole", "sagemaker:DeleteEndpoint") == own
    assert made.allowed("ProductionDeploymentRole", "sagemaker:CreateEndpointConfig") == configs
    assert made.allowed("ProductionDeploymentRole", "sagemaker:CreateModel") == [f"{ARN}model/abalone-production-*"]


def test_the_check_may_write_this_endpoints_record_only(release, stack, template):
    made = template(stack)

    bucket = name_of(made, "AWS::S3::Bucket", "Repo")
    record = f"${{{bucket}.Arn}}/{endpoint_record_key('abalone-production')}"
    assert made.allowed("ProductionVerifyRole", "s3:PutObject") == [record]


def test_a_client_may_be_let_invoke_this_endpoint(stack, release, template):
    client = iam.Role(stack, "Client", assumed_by=iam.AccountRootPrincipal())

    granted = release.grant_invoke(client)

    assert granted.success
    assert template(stack).allowed("Client", "sagemaker:InvokeEndpoint") == [f"{ARN}endpoint/abalone-production"]


def test_the_model_can_be_granted_something(stack, release, template):
    features = s3.Bucket(stack, "Features")

    features.grant_read(release)

    made = template(stack)
    assert f"${{{name_of(made, 'AWS::S3::Bucket', 'Features')}.Arn}}/*" in made.allowed(
        "ProductionRole", "s3:GetObject*"
    )


@pytest.mark.parametrize(
    ("metric", "name", "statistic"),
    [
        ("metric_invocations", "Invocations", "Sum"),
        ("metric_model_latency", "ModelLatency", "p99"),
        ("metric_overhead_latency", "OverheadLatency", "p99"),
        ("metric_4xx_errors", "Invocation4XXErrors", "Average"),
        ("metric_5xx_errors", "Invocation5XXErrors", "Average"),
    ],
)
def test_metrics_are_those_that_sagemaker_publishes_of_the_variant(release, endpoint, metric, name, statistic):
    found = getattr(release, metric)()

    (variant,) = endpoint(release)["Resources"]["Config"]["Properties"]["ProductionVariants"]
    assert (found.namespace, found.metric_name, found.statistic) == ("AWS/SageMaker", name, statistic)
    assert found.dimensions == {"EndpointName": "abalone-production", "VariantName": variant["VariantName"]}
    assert found.period.to_minutes() == 5


def test_an_alarm_can_be_set_on_a_metric(stack, release, template):
    every_minute = release.metric_5xx_errors(period=Duration.minutes(1))
    every_minute.create_alarm(stack, "Errors", threshold=0.01, evaluation_periods=1)

    alarm = template(stack).one("AWS::CloudWatch::Alarm")
    assert (alarm["MetricName"], alarm["Period"]) == ("Invocation5XXErrors", 60)


def test_latency_is_in_microseconds(release):
    assert release.metric_model_latency().unit == cloudwatch.Unit.MICROSECONDS


def test_a_release_works_on_a_plain_pipeline(stack, build, release, template):
    pipeline = codepipeline.Pipeline(stack, "Mine", pipeline_type=codepipeline.PipelineType.V2)
    code = codepipeline.Artifact("Code")
    given = StageInput(source=code, commit="#{Code.CommitId}", build=build)
    pipeline.add_stage(stage_name="Live", actions=release.actions(given))

    actions = release.node.scope.resolve(pipeline.node.default_child.stages)[0]["actions"]

    assert [action["name"] for action in actions] == ["Prepare", "Deploy", "Verify"]


def test_fails_when_there_is_nothing_to_release(release):
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}")

    with pytest.raises(ValueError, match="the release 'Production' must come after an MlBuildStage, got none before"):
        release.actions(given)


def test_fails_when_a_stage_is_used_twice(build, release):
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}", build=build)
    release.actions(given)

    with pytest.raises(
        ValueError, match=r"the stage 'Production' is used twice: .*; define a second SageMakerEndpoint"
    ):
        release.actions(given)


@pytest.mark.parametrize("share", [-1, 101, 0.5, True])
def test_fails_when_the_sampling_percentage_is_none(stack, repo, share):
    with pytest.raises(ValueError, match=f"'capture_percentage' must be a whole number from 0 to 100, got {share!r}"):
        SageMakerEndpointRelease(stack, "Production", repo=repo, capture_percentage=share)


@pytest.mark.parametrize("count", [0, -1])
def test_fails_when_nothing_would_serve(count):
    with pytest.raises(ValueError, match="'instance_count' must be a whole number of at least 1, got "):
        RealTime(instance_count=count)


def test_fails_when_the_instance_type_is_none():
    with pytest.raises(ValueError, match=r"'instance_type' must be a SageMaker instance type .*, got 'm5.large'"):
        RealTime(instance_type="m5.large")


@pytest.mark.parametrize("name", ["", "a_b", "-a", "a-", "a b", "Age", "x" * 44, Aws.STACK_NAME])
def test_fails_when_the_endpoint_cannot_be_called_so(stack, repo, name):
    with pytest.raises(
        ValueError, match="'endpoint_name' must be 1 to 43 small letters, digits and hyphens"
    ) as refusal:
        SageMakerEndpointRelease(stack, "Production", repo=repo, endpoint_name=name)

    assert repr(name) in str(refusal.value)


def test_fails_when_model_and_stage_make_too_long_a_name(stack):
    repo = MlArtifactRepo(stack, "Repo", model_name="m" * 32)

    with pytest.raises(
        ValueError, match=r"'endpoint_name' must be 1 to 43 .*, got 'm{32}-production-in-europe' \(53\)"
    ):
        SageMakerEndpointRelease(stack, "Production_In_Europe", repo=repo)


def test_the_longest_name_leaves_room_for_the_names_made_from_it(stack, repo):
    release = SageMakerEndpointRelease(stack, "Production", repo=repo, endpoint_name="x" * 43)

    assert len(release_name(release.endpoint_name, "0" * 36, "{}", {})) == 63
