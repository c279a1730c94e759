"""ProcessingJob and TrainingJob: how the jobs of a build run."""

import pytest
from aws_cdk import Aws, Duration, Token
from aws_cdk import aws_kms as kms
from botocore.loaders import Loader

from cdk_ml_release import MlArtifactRepo, MlBuildStage, ProcessingJob, QualityGate, TrainingJob

GATE = QualityGate.at_most("a.b", 1)
BOTH = pytest.mark.parametrize("job", [ProcessingJob, TrainingJob])


@pytest.fixture
def requested(stack, repo, template):
    """Builds with a job and tells the request that it becomes."""

    def request(verb, **jobs):
        MlBuildStage(stack, "Build", repo=repo, gate=GATE, **jobs)
        return template(stack).document("BuildJobs", f"{verb}.json")

    return request


@pytest.mark.parametrize("verb", ["preprocess", "evaluate"])
def test_a_processing_job_runs_an_hour_at_most_on_one_small_instance(requested, verb):
    request = requested(verb)

    assert request["ProcessingResources"]["ClusterConfig"] == {
        "InstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "VolumeSizeInGB": 30,
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}


def test_a_training_job_runs_an_hour_at_most_on_one_small_instance(requested):
    request = requested("train")

    assert request["ResourceConfig"] == {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert "EnableManagedSpotTraining" not in request
    assert "MetricDefinitions" not in request["AlgorithmSpecification"]


def test_a_processing_job_may_be_larger_and_longer(requested):
    job = ProcessingJob(instance_type="ml.c5.4xlarge", instance_count=3, volume_gib=500, max_runtime=Duration.days(9))

    request = requested("preprocess", preprocess=job)

    assert request["ProcessingResources"]["ClusterConfig"] == {
        "InstanceCount": 3,
        "InstanceType": "ml.c5.4xlarge",
        "VolumeSizeInGB": 500,
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 777_600}


def test_a_training_job_may_be_larger_and_longer(requested):
    job = TrainingJob(instance_type="ml.p3.2xlarge", instance_count=2, volume_gib=500, max_runtime=Duration.days(28))

    request = requested("train", train=job)

    assert request["ResourceConfig"] == {"InstanceCount": 2, "InstanceType": "ml.p3.2xlarge", "VolumeSizeInGB": 500}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 2_419_200}


def test_each_job_has_its_own_options(requested):
    request = requested("evaluate", preprocess=ProcessingJob(volume_gib=100), evaluate=ProcessingJob(volume_gib=50))

    assert request["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] == 50


def test_hyperparameters_reach_the_container_as_strings(requested):
    request = requested("train", train=TrainingJob(hyperparameters={"depth": 3, "rate": 0.1, "loss": "huber"}))

    assert request["HyperParameters"] == {"depth": "3", "rate": "0.1", "loss": "huber"}


@pytest.mark.parametrize("verb", ["preprocess", "train", "evaluate"])
def test_the_environment_reaches_the_container_beside_what_a_retry_knows_its_job_by(requested, verb):
    job = TrainingJob if verb == "train" else ProcessingJob

    request = requested(verb, **{verb: job(environment={"SEED": "7"})})

    assert request["Environment"] == {"SEED": "7", "ML_EXECUTION_ID": "${ExecutionId}", "ML_INPUTS": "${Inputs}"}


def test_metrics_are_found_in_the_training_log(requested):
    request = requested("train", train=TrainingJob(metric_definitions={"rmse": "rmse=([0-9.]+)"}))

    assert request["AlgorithmSpecification"]["MetricDefinitions"] == [{"Name": "rmse", "Regex": "rmse=([0-9.]+)"}]


def test_training_on_spot_capacity_waits_and_keeps_checkpoints(requested):
    job = TrainingJob(max_runtime=Duration.hours(1), spot_max_wait=Duration.hours(4))

    request = requested("train", train=job)

    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 14_400}
    assert request["CheckpointConfig"] == {"S3Uri": "${RunUri}/checkpoints/"}


@pytest.mark.parametrize(
    ("instance_type", "keyed"), [("ml.m5.large", True), ("ml.m5d.large", False), ("ml.g5.xlarge", False)]
)
def test_disks_that_encrypt_themselves_are_given_no_key(stack, template, instance_type, keyed):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))
    processing, training = ProcessingJob(instance_type=instance_type), TrainingJob(instance_type=instance_type)

    MlBuildStage(stack, "Build", repo=repo, gate=GATE, preprocess=processing, train=training)

    made = template(stack)
    preprocess, train = (made.document("BuildJobs", f"{verb}.json") for verb in ("preprocess", "train"))
    assert ("VolumeKmsKeyId" in preprocess["ProcessingResources"]["ClusterConfig"]) is keyed
    assert ("VolumeKmsKeyId" in train["ResourceConfig"]) is keyed
    assert preprocess["ProcessingOutputConfig"]["KmsKeyId"] == "${KmsKeyArn}"
    assert train["OutputDataConfig"]["KmsKeyId"] == "${KmsKeyArn}"


@pytest.mark.parametrize("kind", ["ProcessingInstanceType", "TrainingInstanceType"])
def test_every_instance_type_of_today_is_one(kind):
    known = Loader().load_service_model("sagemaker", "service-2")["shapes"][kind]["enum"]

    for name in known:
        ProcessingJob(instance_type=name)


@BOTH
@pytest.mark.parametrize("name", ["", "m5.large", "ml.m5", "ml.M5.large", "ml.m5.large ", None, Aws.STACK_NAME])
def test_fails_when_the_instance_type_is_none(job, name):
    with pytest.raises(ValueError, match=r"'instance_type' must be a SageMaker instance type such as 'ml.m5.large', g"):
        job(instance_type=name)


@pytest.mark.parametrize("count", [0, -1, 101, 1.5, True, "2"])
def test_fails_when_a_processing_job_has_an_impossible_count(count):
    with pytest.raises(ValueError, match=f"'instance_count' must be a whole number from 1 to 100, got {count!r}; wr"):
        ProcessingJob(instance_count=count)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_fails_when_a_training_job_has_an_impossible_count(count):
    with pytest.raises(ValueError, match="'instance_count' must be a whole number of at least 1, got "):
        TrainingJob(instance_count=count)


@BOTH
def test_fails_when_a_count_is_known_at_deployment_only(job):
    with pytest.raises(ValueError, match="'instance_count' must be a whole number"):
        job(instance_count=Token.as_number({"Ref": "Count"}))


@pytest.mark.parametrize("size", [0, 16385])
def test_fails_when_a_volume_has_an_impossible_size(size):
    with pytest.raises(ValueError, match=f"'volume_gib' must be a whole number from 1 to 16384, got {size}"):
        ProcessingJob(volume_gib=size)


@pytest.mark.parametrize(
    ("job", "limit", "longest"),
    [
        (ProcessingJob, Duration.days(10), 777_600),
        (TrainingJob, Duration.days(29), 2_419_200),
        (ProcessingJob, Duration.seconds(0), 777_600),
        (TrainingJob, Duration.seconds(0), 2_419_200),
    ],
)
def test_fails_when_a_time_limit_is_impossible(job, limit, longest):
    with pytest.raises(ValueError, match=f"'max_runtime' must be from 1 to {longest} seconds, got "):
        job(max_runtime=limit)


@BOTH
@pytest.mark.parametrize(
    "limit", [3600, Duration.seconds(Token.as_number({"Ref": "Seconds"}))], ids=["number", "token"]
)
def test_fails_when_a_time_limit_is_no_known_duration(job, limit):
    with pytest.raises(ValueError, match="'max_runtime' must be a Duration known at synthesis, got "):
        job(max_runtime=limit)


def test_fails_when_spot_waits_for_less_than_the_training():
    with pytest.raises(ValueError, match=r"'spot_max_wait' \(3600 s\) must not be less than 'max_runtime' \(7200 s\)"):
        TrainingJob(max_runtime=Duration.hours(2), spot_max_wait=Duration.hours(1))


@BOTH
@pytest.mark.parametrize("name", ["ML_EXECUTION_ID", "ML_INPUTS"])
def test_fails_when_the_environment_takes_a_name_that_the_build_needs(job, name):
    with pytest.raises(ValueError, match=f"'environment' must not set '{name}', got 'mine'"):
        job(environment={name: "mine"})


@pytest.mark.parametrize(
    ("job", "argument", "value"),
    [
        (ProcessingJob, "environment", Aws.STACK_NAME),
        (TrainingJob, "environment", f"prefix-{Aws.REGION}"),
        (TrainingJob, "hyperparameters", Token.as_number({"Ref": "Depth"})),
        (TrainingJob, "metric_definitions", Aws.STACK_NAME),
    ],
)
def test_fails_when_a_request_would_be_known_at_deployment_only(job, argument, value):
    with pytest.raises(ValueError, match=f"'{argument}' must be known at synthesis, got a token for 'name'; use a v"):
        job(**{argument: {"name": value}})


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        (
            {"train": TrainingJob(hyperparameters={f"h{number}": 1 for number in range(101)})},
            "'train' makes .* HyperParameters must be at most 100 entries, got 101",
        ),
        (
            {"preprocess": ProcessingJob(environment={"TOO_LONG": "x" * 300})},
            "'preprocess' makes .* Environment.TOO_LONG must be at most 256 characters, got 300",
        ),
        (
            {"evaluate": ProcessingJob(environment={f"E{number}": "" for number in range(99)})},
            "'evaluate' makes .* Environment must be at most 100 entries, got 101",
        ),
        (
            {"train": TrainingJob(environment={"NOT-A-NAME": "1"})},
            "'train' makes .* Environment key must match .*, got 'NOT-A-NAME'",
        ),
        (
            {"train": TrainingJob(metric_definitions={f"m{number}": "(.*)" for number in range(41)})},
            "'train' makes .*MetricDefinitions must be at most 40 items, got 41",
        ),
    ],
    ids=["hyperparameters", "value", "variables", "variable", "metrics"],
)
def test_fails_when_sagemaker_would_refuse_the_request(stack, repo, job, problem):
    with pytest.raises(ValueError, match=problem):
        MlBuildStage(stack, "Build", repo=repo, gate=GATE, **job)


def test_what_just_fits_is_requested(stack, repo):
    training = TrainingJob(
        hyperparameters={f"h{number}": "x" * 2500 for number in range(100)},
        environment={f"E{number}": "x" * 512 for number in range(98)},
        metric_definitions={f"m{number}": "(.*)" for number in range(40)},
    )
    processing = ProcessingJob(environment={f"E{number}": "x" * 256 for number in range(98)})

    MlBuildStage(stack, "Build", repo=repo, gate=GATE, train=training, preprocess=processing)
