"""MlBuildStage: from code and data to a registered model version."""

import json

import pytest
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_ml_release import (
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    ProcessingJob,
    QualityGate,
    StageInput,
    TrainingJob,
)
from cdk_ml_release.runtime.contract import BuildRun, BuildSettings

GATE = QualityGate.at_most("regression_metrics.rmse.value", 2.5)
VERBS = pytest.mark.parametrize("verb", ["preprocess", "train", "evaluate"])


@pytest.fixture
def given():
    return StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}")


@pytest.fixture
def released(stack, source, build, template):
    """The template of a pipeline that only builds."""
    MlPipeline(stack, "Pipeline", source=source, stages=[build])
    return template(stack)


def name_of(made, kind, start):
    """The logical id of the only such resource."""
    (found,) = [name for name in made.all(kind) if name.startswith(start)]
    return found


def test_the_actions_run_one_after_the_other(released):
    actions = released.stages()["Build"]

    assert [(name, action["RunOrder"]) for name, action in actions.items()] == [
        ("Container", 1),
        ("Preprocess", 2),
        ("Train", 3),
        ("Evaluate", 4),
    ]


def test_only_the_container_is_built_with_docker(released):
    privileged = {
        project["ServiceRole"]: project["Environment"]["PrivilegedMode"]
        for project in released.all("AWS::CodeBuild::Project").values()
    }

    container = name_of(released, "AWS::IAM::Role", "BuildContainerRole")
    assert [role for role, docker in privileged.items() if docker] == [f"${{{container}.Arn}}"]


def test_a_build_outlives_the_jobs_that_it_waits_for(released):
    assert released.one("AWS::CodeBuild::Project", "BuildJobs")["TimeoutInMinutes"] == 36 * 60
    assert released.one("AWS::CodeBuild::Project", "BuildContainer")["TimeoutInMinutes"] == 60


def test_the_jobs_program_reads_back_the_settings_of_the_stack(released):
    settings = BuildSettings.from_environment(released.environment("BuildJobs"))

    bucket = name_of(released, "AWS::S3::Bucket", "RepoBucket")
    assert (settings.model_name, settings.package_group) == ("abalone", "abalone")
    assert settings.versions_arn.endswith(":model-package/abalone")
    assert settings.bucket == f"${{{bucket}}}"
    assert settings.data_uri == f"s3://${{{bucket}}}/data/"
    assert settings.gates == (GATE.gate,)
    assert set(settings.values) == {"ProcessingRoleArn", "TrainingRoleArn"}
    assert settings.values["TrainingRoleArn"] == f"${{{name_of(released, 'AWS::IAM::Role', 'BuildTraining')}.Arn}}"


@pytest.mark.parametrize(
    ("action", "run"),
    [
        (
            "Preprocess",
            BuildRun(
                execution_id="#{codepipeline.PipelineExecutionId}",
                image_uri="#{BuildContainer.IMAGE_URI}",
                commit="#{Source.CommitId}",
            ),
        ),
        (
            "Evaluate",
            BuildRun(
                execution_id="#{codepipeline.PipelineExecutionId}",
                image_uri="#{BuildContainer.IMAGE_URI}",
                commit="#{Source.CommitId}",
                data_version="#{BuildPreprocess.DATA_VERSION}",
                model_data="#{BuildTrain.MODEL_DATA}",
            ),
        ),
    ],
    ids=["preprocess", "evaluate"],
)
def test_the_jobs_program_reads_back_what_the_execution_knows(released, action, run):
    assert BuildRun.from_environment(released.action_environment("Build", action)) == run


def test_each_action_of_the_jobs_project_runs_its_own_task(released):
    tasks = [released.action_environment("Build", name)["ML_TASK"] for name in ("Preprocess", "Train", "Evaluate")]

    assert tasks == ["preprocess", "train", "evaluate"]


def test_the_container_is_tagged_with_the_execution(released):
    environment = released.action_environment("Build", "Container")

    assert environment == {"ML_EXECUTION_ID": "#{codepipeline.PipelineExecutionId}"}


@pytest.mark.parametrize(
    ("project", "variables"),
    [
        ("BuildContainer", ["IMAGE_URI"]),
        ("BuildJobs", ["DATA_VERSION", "MODEL_DATA", "MANIFEST_KEY", "EVALUATION_KEY", "SUMMARY"]),
    ],
)
def test_a_project_exports_what_later_actions_read(released, project, variables):
    spec = json.loads(released.one("AWS::CodeBuild::Project", project)["Source"]["BuildSpec"])

    assert spec["env"]["exported-variables"] == variables


def test_a_build_fetches_its_program_and_nothing_else(released):
    spec = json.loads(released.one("AWS::CodeBuild::Project", "BuildJobs")["Source"]["BuildSpec"])

    commands = [command for phase in spec["phases"].values() for command in phase["commands"]]
    assert [word for word in ("npm", "pip", "cdk") if word in " ".join(commands)] == []


def test_the_dockerfile_is_at_the_top_of_the_source(released):
    assert released.environment("BuildContainer")["ML_CONTAINER_FOLDER"] == "."


def test_the_dockerfile_may_be_in_a_folder(stack, repo, template):
    MlBuildStage(stack, "Build", repo=repo, gate=GATE, container_folder="model")

    assert template(stack).environment("BuildContainer")["ML_CONTAINER_FOLDER"] == "model"


def test_several_gates_hold_at_once(stack, repo, template):
    gates = [GATE, QualityGate.at_least("regression_metrics.r2.value", 0.4), QualityGate.at_least(GATE.gate.metric, 0)]

    MlBuildStage(stack, "Build", repo=repo, gate=gates)

    settings = BuildSettings.from_environment(template(stack).environment("BuildJobs"))
    assert settings.gates == tuple(each.gate for each in gates)


@VERBS
def test_the_request_travels_with_the_program(stack, build, template, verb):
    request = template(stack).document("BuildJobs", f"{verb}.json")

    assert request["TrainingJobName" if verb == "train" else "ProcessingJobName"] == "${JobName}"


@pytest.mark.parametrize("verb", ["preprocess", "evaluate"])
def test_a_processing_container_is_started_with_its_verb(stack, build, template, verb):
    request = template(stack).document("BuildJobs", f"{verb}.json")

    assert request["AppSpecification"] == {"ImageUri": "${ImageUri}", "ContainerArguments": [verb]}


@VERBS
def test_jobs_use_sagemakers_network_without_a_vpc(stack, build, template, verb):
    request = template(stack).document("BuildJobs", f"{verb}.json")

    assert "VpcConfig" not in str(request)
    assert build.security_group is None


@VERBS
def test_jobs_run_in_the_private_subnets_of_a_vpc(stack, repo, template, verb):
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)

    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=vpc)

    made = template(stack)
    request = made.document("BuildJobs", f"{verb}.json")
    config = request["VpcConfig"] if verb == "train" else request["NetworkConfig"]["VpcConfig"]
    values = BuildSettings.from_environment(made.environment("BuildJobs")).values
    private = [f"${{{name}}}" for name in made.all("AWS::EC2::Subnet") if "Private" in name]
    assert config == {"Subnets": ["${Subnet0}", "${Subnet1}"], "SecurityGroupIds": ["${SecurityGroup0}"]}
    assert [values["Subnet0"], values["Subnet1"]] == private
    assert values["SecurityGroup0"] == f"${{{name_of(made, 'AWS::EC2::SecurityGroup', 'Build')}.GroupId}}"
    assert build.security_group is not None


@VERBS
def test_traffic_between_instances_in_a_vpc_is_encrypted(stack, repo, template, verb):
    MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))

    request = template(stack).document("BuildJobs", f"{verb}.json")
    where = request if verb == "train" else request["NetworkConfig"]
    assert where["EnableInterContainerTrafficEncryption"] is True


def test_isolated_subnets_do_where_there_are_no_others(stack, repo, template):
    isolated = ec2.SubnetConfiguration(name="Inside", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0, subnet_configuration=[isolated])

    MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=vpc)

    made = template(stack)
    values = BuildSettings.from_environment(made.environment("BuildJobs")).values
    assert [values["Subnet0"], values["Subnet1"]] == [f"${{{name}}}" for name in made.all("AWS::EC2::Subnet")]


def test_fails_when_a_vpc_has_only_public_subnets(stack, repo):
    public = ec2.SubnetConfiguration(name="Outside", subnet_type=ec2.SubnetType.PUBLIC)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, subnet_configuration=[public])

    with pytest.raises(ValueError, match="'vpc' must have private or isolated subnets, got one that has neither"):
        MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=vpc)


def test_fails_when_a_vpc_has_more_subnets_than_sagemaker_takes(stack, repo):
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=[f"us-east-1{zone}" for zone in "abcdefghijklmnopq"],
        private_subnet_ids=[f"subnet-{number}" for number in range(17)],
    )

    with pytest.raises(ValueError, match=r"Subnets must be at most 16 items, got 17"):
        MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=vpc)


def test_the_instances_of_one_job_may_talk_to_each_other(stack, repo, template):
    train = TrainingJob(instance_count=2)

    MlBuildStage(stack, "Build", repo=repo, gate=GATE, train=train, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))

    made = template(stack)
    own = f"${{{name_of(made, 'AWS::EC2::SecurityGroup', 'Build')}.GroupId}}"
    rule = made.one("AWS::EC2::SecurityGroupIngress")
    assert (rule["GroupId"], rule["SourceSecurityGroupId"]) == (own, own)


def test_nothing_may_talk_to_a_job_of_one_instance(stack, repo, template):
    MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))

    made = template(stack)
    assert made.all("AWS::EC2::SecurityGroupIngress") == {}
    assert "SecurityGroupIngress" not in made.one("AWS::EC2::SecurityGroup", "Build")


@pytest.mark.parametrize("role", ["BuildProcessingRole", "BuildTrainingRole"])
def test_only_in_a_vpc_may_the_jobs_attach_to_a_network(stack, repo, template, role):
    MlBuildStage(stack, "Build", repo=repo, gate=GATE, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))
    MlBuildStage(stack, "Plain", repo=repo, gate=GATE)

    made = template(stack)
    assert made.allowed(role, "ec2:CreateNetworkInterface") == ["*"]
    assert made.allowed(role.replace("Build", "Plain"), "ec2:CreateNetworkInterface") == []


def test_a_key_encrypts_what_jobs_write_and_their_volumes(stack, template):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    MlBuildStage(stack, "Build", repo=repo, gate=GATE)

    made = template(stack)
    key = f"${{{name_of(made, 'AWS::KMS::Key', 'Key')}.Arn}}"
    assert BuildSettings.from_environment(made.environment("BuildJobs")).values["KmsKeyArn"] == key
    for role in ("BuildProcessingRole", "BuildTrainingRole"):
        assert made.allowed(role, "kms:CreateGrant") == [key]
        assert made.allowed(role, "kms:GenerateDataKey") == [key]
    assert set(made.allowed("BuildJobsRole", "kms:Decrypt")) == {key}


def test_raw_data_elsewhere_is_read_from_there(stack, template):
    lake = s3.Bucket.from_bucket_name(stack, "Lake", "lake")
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", data_bucket=lake, data_prefix="sea/")

    MlBuildStage(stack, "Build", repo=repo, gate=GATE)

    made = template(stack)
    assert BuildSettings.from_environment(made.environment("BuildJobs")).data_uri == "s3://lake/sea/"
    assert "arn:${AWS::Partition}:s3:::lake/sea/*" in made.allowed("BuildProcessingRole", "s3:GetObject")


def test_the_programs_see_which_raw_data_there_is_but_not_what_is_in_it(stack, build, template):
    read = template(stack).allowed("BuildJobsRole", "s3:GetObject")

    assert not [each for each in read if "/data/" in each]


def test_training_does_not_see_the_raw_data(stack, build, template):
    assert not [each for each in template(stack).allowed("BuildTrainingRole", "s3:GetObject") if "/data/" in each]


def test_the_program_may_start_this_models_jobs_only(stack, build, template):
    made = template(stack)

    prefix = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:"
    assert made.allowed("BuildJobsRole", "sagemaker:CreateProcessingJob") == [
        f"{prefix}processing-job/abalone-preprocess-*",
        f"{prefix}processing-job/abalone-evaluate-*",
    ]
    assert made.allowed("BuildJobsRole", "sagemaker:CreateTrainingJob") == [f"{prefix}training-job/abalone-train-*"]


def test_the_program_may_pass_the_jobs_roles_to_sagemaker_only(stack, build, template):
    made = template(stack)

    (passing,) = [each for each in made.statements("BuildJobsRole") if each["Action"] == "iam:PassRole"]
    roles = [f"${{{name_of(made, 'AWS::IAM::Role', f'Build{kind}Role')}.Arn}}" for kind in ("Processing", "Training")]
    assert passing["Resource"] == roles
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize("role", ["BuildProcessingRole", "BuildTrainingRole"])
def test_sagemaker_runs_jobs_on_behalf_of_this_account_only(stack, build, template, role):
    (trust,) = template(stack).one("AWS::IAM::Role", role)["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}


def test_a_role_has_its_policy_before_anything_can_use_it(stack, build, template):
    roles = template(stack).all("AWS::IAM::Role")

    assert [name for name, role in roles.items() if not role.get("Policies")] == []


def test_a_build_works_on_a_plain_pipeline(stack, build, template):
    pipeline = codepipeline.Pipeline(stack, "Mine", pipeline_type=codepipeline.PipelineType.V2)
    code = codepipeline.Artifact("Code")
    archive = s3.Bucket.from_bucket_name(stack, "Archive", "archive")
    fetch = actions.S3SourceAction(action_name="Fetch", bucket=archive, bucket_key="code.zip", output=code)
    pipeline.add_stage(stage_name="Code", actions=[fetch])
    given = StageInput(source=code, commit=fetch.variables.version_id)
    pipeline.add_stage(stage_name="Model", actions=build.actions(given))

    made = template(stack)
    train = made.stages()["Model"]["Train"]
    assert train["InputArtifacts"] == [{"Name": "Code"}]
    run = BuildRun.from_environment(made.action_environment("Model", "Train"))
    assert run.commit.endswith(".VersionId}")


def test_fails_when_there_is_no_gate(stack, repo):
    with pytest.raises(ValueError, match=r"'gate' must hold at least one limit, got none; use QualityGate.at_most"):
        MlBuildStage(stack, "Build", repo=repo, gate=[])


def test_fails_when_a_metric_is_limited_twice(stack, repo):
    gates = [GATE, QualityGate.at_most(GATE.gate.metric, 3)]

    with pytest.raises(ValueError, match=r"'gate' must limit a metric once, got 'regression_metrics.rmse.value' at_mo"):
        MlBuildStage(stack, "Build", repo=repo, gate=gates)


def test_fails_when_a_stage_is_used_twice(build, given):
    build.actions(given)

    with pytest.raises(ValueError, match=r"the stage 'Build' is used twice: .*; define a second MlBuildStage"):
        build.actions(given)


@pytest.mark.parametrize("name", ["two words", "a.b", "x" * 81])
def test_fails_when_a_stage_cannot_be_called_so(stack, repo, name):
    with pytest.raises(ValueError, match="'construct_id' must be 1 to 80 letters, digits"):
        MlBuildStage(stack, name, repo=repo, gate=GATE)


def test_a_long_stage_name_leaves_room_for_the_names_made_from_it(stack, repo, source, template):
    build = MlBuildStage(stack, "x" * 80, repo=repo, gate=GATE, preprocess=ProcessingJob())

    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    (actions,) = [actions for name, actions in template(stack).stages().items() if name != "Source"]
    assert max(len(action["Namespace"]) for action in actions.values()) <= 100
