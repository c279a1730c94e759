"""An endpoint in another region: what is copied there, once, and what is asked there and what at home."""

import json
from dataclasses import replace

import pytest

from cdk_ml_release.runtime import aws, deploy, verify
from cdk_ml_release.runtime.contract import Manifest, StageFailed, endpoint_record_key

from .fakes import AT_ONCE, FakeEndpoint, FakeSageMaker, Refused, played_by
from .registries import FakeRegistry, digest_of, downloads_of
from .samples import BUCKET, EXECUTION, MANIFEST, MANIFEST_KEY, RELEASE_SETTINGS

HOME, THERE = "eu-central-1", "us-east-1"
BUCKET_THERE = "abalone-america-123456789012-c800b6"
IMAGES, IMAGES_THERE = (
    f"123456789012.dkr.ecr.{region}.amazonaws.com/{name}"
    for region, name in ((HOME, "abalone"), (THERE, "abalone-america"))
)
SETTINGS = replace(
    RELEASE_SETTINGS,
    endpoint_name="abalone-america",
    stack_name="abalone-america-endpoint",
    region=THERE,
    region_bucket=BUCKET_THERE,
    region_images=IMAGES_THERE,
    region_group="abalone-america",
    parameters={"ModelRoleArn": "arn:aws:iam::123456789012:role/abalone", "CaptureUri": f"s3://{BUCKET_THERE}/capture"},
)
MODEL_KEY = MANIFEST.model_data.removeprefix(f"s3://{BUCKET}/")
PREDICTIONS_KEY = MANIFEST.predictions_uri.removeprefix(f"s3://{BUCKET}/")
LAYER = b"the model's code and its system"
PARAMETERS = ["ReleaseName", "ModelPackageArn", "ModelRoleArn", "CaptureUri", "Versions"]
STACK = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


class TwoRegions:
    """A model that is registered at home, and the empty home that is for it in another region."""

    def __init__(self, s3, folder):
        self.s3, self.folder = s3, folder
        self.registries = {HOME: FakeRegistry(), THERE: FakeRegistry()}
        self.made = {}
        self.acted = {}
        """What stands in for a service of a region, if moto does not."""
        digest = self.registries[HOME].push("abalone", LAYER)
        s3.put_object(Bucket=BUCKET, Key=MODEL_KEY, Body=b"weights")
        self.client("s3", THERE).create_bucket(Bucket=BUCKET_THERE)
        self.client("s3", THERE).put_bucket_versioning(
            Bucket=BUCKET_THERE, VersioningConfiguration={"Status": "Enabled"}
        )
        for region, group in ((HOME, "abalone"), (THERE, "abalone-america")):
            self.client("sagemaker", region).create_model_package_group(ModelPackageGroupName=group)
        container = {"Image": f"{IMAGES}@{digest}", "ModelDataUrl": MANIFEST.model_data, "ModelDataETag": "of home"}
        self.version = self.client("sagemaker", HOME).create_model_package(
            ModelPackageGroupName="abalone",
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [container | {"Environment": {"THREADS": "2"}}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            CustomerMetadataProperties={"execution": EXECUTION},
        )["ModelPackageArn"]
        self.manifest = replace(MANIFEST, image_uri=f"{IMAGES}@{digest}", model_package_arn=self.version)
        s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=self.manifest.to_json().encode())

    def client(self, service, region=HOME):
        if service == "ecr":
            return played_by("ecr", self.registries[region])
        if (service, region) in self.acted:
            return played_by(service, self.acted[service, region])
        if (service, region) not in self.made:
            # To make a client takes longer than most tests.
            self.made[service, region] = aws.client(service, region)
        return self.made[service, region]

    def prepare(self):
        """What Prepare writes for CloudFormation."""
        template = {"Parameters": {name: {"Type": "String"} for name in PARAMETERS}}
        (self.folder / "endpoint.template.json").write_text(json.dumps(template))
        env = SETTINGS.to_environment() | {"ML_HOME": str(self.folder), "ML_MANIFEST_KEY": MANIFEST_KEY}
        deploy.deploy(env, self.client, AT_ONCE)
        return json.loads((self.folder / "artifact" / "configuration.json").read_text())["Parameters"]

    def verify(self, settings=SETTINGS):
        env = settings.to_environment() | {"ML_MANIFEST_KEY": MANIFEST_KEY, "ML_RELEASE_NAME": "release"}
        verify.verify(env, self.client, AT_ONCE)

    def versions(self, region=THERE, group="abalone-america"):
        """The versions that are registered there."""
        sagemaker = self.client("sagemaker", region)
        listed = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
        return [sagemaker.describe_model_package(ModelPackageName=each["ModelPackageArn"]) for each in listed]

    def objects(self):
        """Every version of every object there."""
        found = self.client("s3", THERE).list_object_versions(Bucket=BUCKET_THERE)
        return sorted(each["Key"] for each in found.get("Versions", ()))

    def has_nothing(self):
        """Whether nothing there could be taken for a model."""
        return (self.versions(), self.registries[THERE].images) == ([], {})


@pytest.fixture
def two(s3, tmp_path):
    made = TwoRegions(s3, tmp_path)
    with downloads_of(made.registries[HOME]) as downloads:
        made.downloads = downloads
        yield made


def test_the_endpoint_is_told_the_version_of_its_own_region(two):
    told = two.prepare()

    (version,) = two.versions()
    assert told["ModelPackageArn"] == version["ModelPackageArn"]
    assert version["ModelPackageArn"].startswith(f"arn:aws:sagemaker:{THERE}:")
    assert told["CaptureUri"] == f"s3://{BUCKET_THERE}/capture/{EXECUTION}"


def test_the_version_there_has_image_and_data_of_there_and_all_else_of_home(two):
    two.prepare()

    (version,) = two.versions()
    digest = two.manifest.image_uri.partition("@")[2]
    assert version["InferenceSpecification"] == {
        "Containers": [
            {
                "Image": f"{IMAGES_THERE}@{digest}",
                "ModelDataUrl": f"s3://{BUCKET_THERE}/{MODEL_KEY}",
                "Environment": {"THREADS": "2"},
            }
        ],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    assert version["ModelPackageDescription"] == f"Copy of {two.version}"


def test_the_version_there_leads_to_the_run_that_has_made_it(two):
    at_home = two.versions(HOME, "abalone")[0]
    kept = ("InferenceSpecification", "CustomerMetadataProperties", "ModelPackageStatus", "ModelApprovalStatus")
    two.acted["sagemaker", HOME] = FakeSageMaker(packages={two.version: {name: at_home[name] for name in kept}})
    two.acted["sagemaker", THERE] = there = FakeSageMaker()

    two.prepare()

    (version,) = there.packages.values()
    assert version["CustomerMetadataProperties"] == {"execution": EXECUTION}


def test_image_and_data_there_are_those_of_home(two):
    two.prepare()

    assert two.registries[THERE].images["abalone-america"] == two.registries[HOME].images["abalone"]
    copied = two.client("s3", THERE).get_object(Bucket=BUCKET_THERE, Key=MODEL_KEY)["Body"].read()
    assert copied == b"weights"


def test_a_large_model_is_copied_in_parts(two):
    weights = b"weights" * 1_500_000
    two.s3.put_object(Bucket=BUCKET, Key=MODEL_KEY, Body=weights)

    two.prepare()

    copied = two.client("s3", THERE).get_object(Bucket=BUCKET_THERE, Key=MODEL_KEY)
    assert copied["Body"].read() == weights
    assert copied["ETag"].endswith('-2"'), "of two parts"


def test_the_version_is_approved_at_home_and_there(two):
    two.prepare()

    for region, group in ((HOME, "abalone"), (THERE, "abalone-america")):
        (version,) = two.versions(region, group)
        assert version["ModelApprovalStatus"] == "Approved"


def test_people_are_told_the_number_of_the_version_at_home(two):
    earlier = two.client("sagemaker", HOME).create_model_package(
        ModelPackageGroupName="abalone",
        ModelApprovalStatus="Approved",
        InferenceSpecification=two.versions(HOME, "abalone")[0]["InferenceSpecification"],
    )["ModelPackageArn"]
    assert earlier.endswith("/2")
    second = replace(two.manifest, model_package_arn=earlier)
    two.s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=second.to_json().encode())

    told = two.prepare()

    assert told["ModelPackageArn"].endswith("/1")
    assert [each["label"] for each in json.loads(told["Versions"])] == ["version 2"]


def test_a_retried_stage_copies_nothing_twice_and_registers_nothing_twice(two):
    first = two.prepare()
    objects, calls = two.objects(), list(two.registries[THERE].calls)

    again = two.prepare()

    assert len(two.versions()) == 1
    assert two.objects() == objects == [MODEL_KEY, MANIFEST_KEY]
    assert two.registries[THERE].calls == calls
    assert again["ReleaseName"] == first["ReleaseName"]


def test_a_retry_that_finds_no_manifest_there_is_given_the_same_version(two):
    two.acted["sagemaker", THERE] = there = FakeSageMaker()

    first = two.prepare()
    two.client("s3", THERE).delete_object(Bucket=BUCKET_THERE, Key=MANIFEST_KEY)
    again = two.prepare()

    assert first["ModelPackageArn"] == again["ModelPackageArn"]
    assert len(there.packages) == 1


def test_a_version_that_somebody_has_deleted_there_is_registered_anew(two):
    two.acted["sagemaker", THERE] = there = FakeSageMaker()
    first = two.prepare()
    there.packages = {f"{first['ModelPackageArn']}00": there.packages.pop(first["ModelPackageArn"])}

    again = two.prepare()

    assert again["ModelPackageArn"] in there.packages
    assert again["ModelPackageArn"] != first["ModelPackageArn"], "numbers are not given twice"


def test_another_release_of_the_group_just_now_is_waited_for(two):
    two.acted["sagemaker", THERE] = there = FakeSageMaker(refusals=[Refused("ConflictException", "in use")])

    two.prepare()

    assert len(there.packages) == 1


def test_the_record_there_is_a_manifest_of_what_is_there(two):
    told = two.prepare()

    content = two.client("s3", THERE).get_object(Bucket=BUCKET_THERE, Key=MANIFEST_KEY)["Body"].read()
    copied = Manifest.from_json(content)
    assert copied.model_package_arn == told["ModelPackageArn"]
    assert copied.model_data == f"s3://{BUCKET_THERE}/{MODEL_KEY}"
    assert replace(
        copied,
        model_package_arn=two.version,
        image_uri=two.manifest.image_uri,
        model_data=two.manifest.model_data,
    ) == (two.manifest)


@pytest.mark.parametrize("how", ["refused", "cut off", "altered"])
def test_nothing_is_registered_when_a_layer_does_not_arrive(two, how):
    two.downloads.broken[digest_of(LAYER)] = how

    with pytest.raises(StageFailed, match=f"the layer {digest_of(LAYER)} of 'abalone' .*: retry the stage"):
        two.prepare()

    assert two.has_nothing()
    assert not (two.folder / "artifact").exists(), "there is nothing to deploy: what serves stays"


def test_nothing_is_registered_when_the_model_data_is_gone(two):
    two.s3.delete_object(Bucket=BUCKET, Key=MODEL_KEY)

    with pytest.raises(StageFailed, match=f"the model data {MANIFEST.model_data} is not there any more: release anoth"):
        two.prepare()

    assert two.versions() == []


FURTHER = {"S3DataType": "S3Object", "S3Uri": f"s3://{BUCKET}/lookup.csv"}


@pytest.mark.parametrize("more", [(1, {}), (0, {"AdditionalS3DataSource": FURTHER})], ids=["containers", "data"])
def test_refuses_a_version_that_is_more_than_a_container_with_its_model(two, more):
    others, further = more
    specification = two.versions(HOME, "abalone")[0]["InferenceSpecification"]
    (container,) = specification["Containers"]
    containers = [container | further, *[container] * others]
    arn = two.client("sagemaker", HOME).create_model_package(
        ModelPackageGroupName="abalone",
        ModelApprovalStatus="Approved",
        InferenceSpecification=specification | {"Containers": containers},
    )["ModelPackageArn"]
    several = replace(two.manifest, model_package_arn=arn)
    two.s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=several.to_json().encode())

    with pytest.raises(StageFailed, match=f"{arn} is more than one container with its model data, .*: release anoth"):
        two.prepare()

    assert two.versions() == []


@pytest.mark.parametrize("region", [HOME, THERE])
def test_refuses_a_version_that_a_person_has_rejected(two, region):
    two.prepare()
    (version,) = two.versions(*((HOME, "abalone") if region == HOME else ()))
    two.client("sagemaker", region).update_model_package(
        ModelPackageArn=version["ModelPackageArn"], ModelApprovalStatus="Rejected"
    )

    with pytest.raises(StageFailed, match=f"the model version {version['ModelPackageArn']} was rejected"):
        two.prepare()


def test_a_stack_of_there_that_cannot_be_updated_is_cleared_away_before_anything_is_copied(two):
    two.client("cloudformation", THERE).create_stack(StackName=SETTINGS.stack_name, TemplateBody=STACK)
    asked = []
    actor = FakeStuck(asked)
    two.acted["cloudformation", THERE] = actor

    with pytest.raises(StageFailed, match="is UPDATE_ROLLBACK_FAILED: continue its roll-back"):
        two.prepare()

    assert asked == [SETTINGS.stack_name]
    assert two.has_nothing()


class FakeStuck:
    """A stack that needs a person."""

    def __init__(self, asked):
        self.asked = asked

    def describe_stacks(self, StackName):  # noqa: N803
        self.asked.append(StackName)
        created = "2026-11-22T12:00:00Z"
        return {"Stacks": [{"StackName": StackName, "StackStatus": "UPDATE_ROLLBACK_FAILED", "CreationTime": created}]}


def test_verify_looks_at_the_endpoint_there_and_deletes_its_first_stack(two):
    there = two.client("cloudformation", THERE)
    there.create_stack(StackName=SETTINGS.stack_name, TemplateBody=STACK)
    at_home = two.client("cloudformation", HOME)
    at_home.create_stack(StackName=SETTINGS.stack_name, TemplateBody=STACK)

    with pytest.raises(StageFailed, match=r"there is no endpoint 'abalone-america'.*; taken out of service"):
        two.verify()

    statuses = [client.list_stacks()["StackSummaries"][0]["StackStatus"] for client in (there, at_home)]
    assert statuses == ["DELETE_COMPLETE", "CREATE_COMPLETE"]


@pytest.fixture
def released(two):
    """The endpoint is in service there, with the release that Prepare has named."""
    two.prepare()
    serving = {"EndpointStatus": "InService", "EndpointConfigName": "release"}
    two.acted["sagemaker", THERE] = FakeSageMaker(endpoints={"abalone-america": [serving]})
    two.client("cloudformation", THERE).create_stack(StackName=SETTINGS.stack_name, TemplateBody=STACK)
    rows = "".join(json.dumps({"input": str(n), "prediction": n}) + "\n" for n in range(3))
    two.s3.put_object(Bucket=BUCKET, Key=PREDICTIONS_KEY, Body=rows.encode())
    return two


def test_what_is_in_service_there_is_recorded_at_home(released):
    released.acted["sagemaker-runtime", THERE] = endpoint = FakeEndpoint(lambda body: body)

    released.verify()

    record = released.s3.get_object(Bucket=BUCKET, Key=endpoint_record_key("abalone-america"))["Body"].read()
    assert Manifest.from_json(record) == released.manifest, "as it is known at home, by gates and by people"
    assert len(endpoint.requests) == 3
    assert released.objects() == [MODEL_KEY, MANIFEST_KEY]


def test_a_queue_there_is_asked_through_the_bucket_of_there(released):
    class Queue:
        """Answers at once, by objects in the bucket of its region."""

        def invoke_endpoint_async(self, InputLocation, **_):  # noqa: N803
            key = InputLocation.removeprefix(f"s3://{BUCKET_THERE}/")
            s3 = released.client("s3", THERE)
            answer = s3.get_object(Bucket=BUCKET_THERE, Key=key)["Body"].read()
            s3.put_object(Bucket=BUCKET_THERE, Key=f"{key}.out", Body=answer)
            return {"OutputLocation": f"{InputLocation}.out", "FailureLocation": f"{InputLocation}.error"}

    released.acted["sagemaker-runtime", THERE] = Queue()

    released.verify(replace(SETTINGS, parameters={"AsyncUri": f"s3://{BUCKET_THERE}/async/abalone-america"}))

    assert any("/input/verify/release/" in key for key in released.objects())


def test_without_a_region_the_clients_are_those_of_the_own_one():
    def client(service):
        raise AssertionError(service)

    assert aws.clients_in("", client) is client
    assert aws.clients_in(THERE)("s3").meta.region_name == THERE
    assert aws.clients_in(THERE)("sagemaker").meta.config.retries == aws.client("sagemaker").meta.config.retries
