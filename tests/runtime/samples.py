"""What the tests release: request documents as the constructs render them, with every option, and their records."""

from cdk_ml_release.runtime.contract import BuildRun, BuildSettings, Manifest, ReleaseSettings

_VPC = {"Subnets": ["${Subnet0}", "${Subnet1}"], "SecurityGroupIds": ["${SecurityGroup0}"]}
_ENVIRONMENT = {"OWN": "${stays}", "ML_EXECUTION_ID": "${ExecutionId}", "ML_INPUTS": "${Inputs}"}


def _input(name: str, uri: str) -> dict[str, object]:
    place = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{name}", "S3DataType": "S3Prefix"}
    how = {"S3InputMode": "File", "S3DataDistributionType": "FullyReplicated"}
    return {"InputName": name, "S3Input": place | how}


def _output(name: str, uri: str) -> dict[str, object]:
    place = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/output/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "S3Output": place}


def _processing(verb: str, inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, object]:
    cluster = {
        "InstanceCount": 2,
        "InstanceType": "ml.m5.large",
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": "${KmsKeyArn}",
    }
    return {
        "ProcessingJobName": "${JobName}",
        "RoleArn": "${ProcessingRoleArn}",
        "AppSpecification": {"ImageUri": "${ImageUri}", "ContainerArguments": [verb]},
        "Environment": _ENVIRONMENT,
        "ProcessingInputs": [_input(*each) for each in inputs.items()],
        "ProcessingOutputConfig": {
            "Outputs": [_output(*each) for each in outputs.items()],
            "KmsKeyId": "${KmsKeyArn}",
        },
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "NetworkConfig": {"VpcConfig": _VPC, "EnableInterContainerTrafficEncryption": True},
    }


PREPROCESS = _processing(
    "preprocess",
    {"data": "${DataUri}"},
    {"training": "${RunUri}/data/training", "testing": "${RunUri}/data/testing"},
)
EVALUATE = _processing(
    "evaluate",
    {"model": "${ModelData}", "testing": "${RunUri}/data/testing/"},
    {"evaluation": "${RunUri}/evaluation"},
)
_CHANNEL = {"S3DataType": "S3Prefix", "S3Uri": "${RunUri}/data/training/", "S3DataDistributionType": "FullyReplicated"}
TRAIN = {
    "TrainingJobName": "${JobName}",
    "RoleArn": "${TrainingRoleArn}",
    "AlgorithmSpecification": {
        "TrainingImage": "${ImageUri}",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "rmse", "Regex": "rmse=(.*)"}],
    },
    "HyperParameters": {"depth": "3"},
    "Environment": _ENVIRONMENT,
    "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": _CHANNEL}, "InputMode": "File"}],
    "OutputDataConfig": {"S3OutputPath": "${RunUri}/model/", "KmsKeyId": "${KmsKeyArn}"},
    "ResourceConfig": {
        "InstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": "${KmsKeyArn}",
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "EnableManagedSpotTraining": True,
    "CheckpointConfig": {"S3Uri": "${RunUri}/checkpoints/"},
    "VpcConfig": _VPC,
    "EnableInterContainerTrafficEncryption": True,
}
DOCUMENTS = {"preprocess": PREPROCESS, "train": TRAIN, "evaluate": EVALUATE}

EXECUTION = "4c0f6c1e-9a57-4e6e-8a3b-5f1d2c3b4a59"
BUCKET = "abalone-artifacts"
ROLE = "arn:aws:iam::111122223333:role/abalone"
IMAGE = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/abalone@sha256:" + "0" * 64
STACK_VALUES = {
    "ProcessingRoleArn": ROLE,
    "TrainingRoleArn": ROLE,
    "KmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/4c0f",
    "Subnet0": "subnet-0",
    "Subnet1": "subnet-1",
    "SecurityGroup0": "sg-0",
}
VALUES = STACK_VALUES | {
    "ImageUri": IMAGE,
    "ExecutionId": EXECUTION,
    "RunUri": f"s3://{BUCKET}/runs/{EXECUTION}",
    "DataUri": f"s3://{BUCKET}/data/",
    "ModelData": f"s3://{BUCKET}/runs/{EXECUTION}/model/job/output/model.tar.gz",
}

SETTINGS = BuildSettings(
    model_name="abalone",
    bucket=BUCKET,
    data_uri=VALUES["DataUri"],
    package_group="abalone",
    versions_arn="arn:aws:sagemaker:eu-central-1:111122223333:model-package/abalone",
    gates=(),
    values=STACK_VALUES,
)
RUN = BuildRun(
    execution_id=EXECUTION,
    image_uri=IMAGE,
    commit="c0ffee",
    data_version="d474",
    model_data=VALUES["ModelData"],
)
RELEASE_SETTINGS = ReleaseSettings(
    endpoint_name="Abalone-production",
    stack_name="abalone-production-endpoint",
    bucket=BUCKET,
    parameters={"ModelRoleArn": ROLE, "CaptureUri": f"s3://{BUCKET}/capture"},
)
MANIFEST_KEY = f"runs/{EXECUTION}/release.json"
MANIFEST = Manifest(
    execution_id=EXECUTION,
    model_name="abalone",
    model_package_arn="arn:aws:sagemaker:eu-central-1:111122223333:model-package/abalone/1",
    image_uri=IMAGE,
    model_data=VALUES["ModelData"],
    commit="c0ffee",
    data_version="d474",
    evaluation_uri=f"s3://{BUCKET}/runs/{EXECUTION}/evaluation/evaluation.json",
    predictions_uri=f"s3://{BUCKET}/runs/{EXECUTION}/evaluation/predictions.jsonl",
    metrics={"rmse": 2.0},
)
