import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from cdk_ml_release.rehearsal.cloud.calls import Call, CallError, Check, read_call
from cdk_ml_release.rehearsal.cloud.policy import ANY_RESOURCE, decide

ACCOUNT, REGION = "111122223333", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Jobs"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class Recorder(ThreadingHTTPServer):
    """Takes every request and answers 404, whatever was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # A proxy is asked for whole addresses; a server sees the path alone.
        where = urlsplit(self.path)
        self.server.requests.append((self.command, where.path, where.query, dict(self.headers.items()), body))
        answer = b"" if self.command == "HEAD" else b"<Error><Code>Recorded</Code></Error>"
        self.send_response(404)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = take  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def recorder():
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def session():
    return boto3.Session("AKIDEXAMPLE", "secret", "token", region_name=REGION)


@pytest.fixture(scope="module")
def client(session, recorder):
    known = {}

    def client(service, **config):
        name = (service, *config)
        if name not in known:
            settings = Config(retries={"max_attempts": 0, "mode": "standard"}, **config)
            known[name] = session.client(service, endpoint_url=recorder.url, config=settings)
        return known[name]

    yield client
    for each in known.values():
        each.close()


@pytest.fixture
def sent(client, recorder):
    def sent(service, method, /, **parameters) -> Call:
        recorder.requests.clear()
        with pytest.raises((ClientError, ResponseParserError)):
            getattr(client(service), method)(**parameters)
        return read_call(*recorder.requests[-1], account=ACCOUNT, region=REGION)

    return sent


def asked(call):
    return [(check.action, check.resource) for check in call.checks]


def sagemaker(resource):
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{resource}"


JOB = {
    "TrainingJobName": "Abalone-train-1",
    "RoleArn": ROLE,
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/runs"},
}


def test_a_training_job_is_created_with_a_role_and_tags(sent):
    call = sent("sagemaker", "create_training_job", **JOB, Tags=[{"Key": "team", "Value": "ml"}])

    assert (call.service, call.operation) == ("sagemaker", "CreateTrainingJob")
    assert call.parameters["OutputDataConfig"] == {"S3OutputPath": "s3://bucket/runs"}
    assert asked(call) == [
        ("sagemaker:CreateTrainingJob", sagemaker("training-job/Abalone-train-1")),
        ("sagemaker:AddTags", sagemaker("training-job/Abalone-train-1")),
        ("iam:PassRole", ROLE),
    ]
    assert call.checks[0].context["aws:TagKeys"] == ("team",)
    assert call.checks[0].context["aws:RequestTag/team"] == "ml"
    assert call.checks[2].context["iam:PassedToService"] == "sagemaker.amazonaws.com"


def test_every_check_says_where_and_for_whom(sent):
    (check,) = sent("sagemaker", "describe_training_job", TrainingJobName="job").checks

    assert check.context == {
        "aws:SecureTransport": "true",
        "aws:RequestedRegion": REGION,
        "aws:SourceAccount": ACCOUNT,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:ResourceAccount": ACCOUNT,
    }


def test_the_region_is_the_one_signed_for(session, recorder, client):
    recorder.requests.clear()
    with pytest.raises(ClientError):
        session.client("sagemaker", region_name="cn-north-1", endpoint_url=recorder.url).describe_model(ModelName="m")

    (check,) = read_call(*recorder.requests[-1], account=ACCOUNT, region=REGION).checks

    assert check.resource == f"arn:aws-cn:sagemaker:cn-north-1:{ACCOUNT}:model/m"
    assert check.context["aws:RequestedRegion"] == "cn-north-1"


@pytest.mark.parametrize(
    ("method", "parameters", "checks"),
    [
        ("describe_training_job", {"TrainingJobName": "a"}, [("DescribeTrainingJob", "training-job/a")]),
        ("stop_training_job", {"TrainingJobName": "a"}, [("StopTrainingJob", "training-job/a")]),
        ("delete_training_job", {"TrainingJobName": "a"}, [("DeleteTrainingJob", "training-job/a")]),
        (
            "describe_processing_job",
            {"ProcessingJobName": "a"},
            [("DescribeProcessingJob", "processing-job/a")],
        ),
        ("stop_transform_job", {"TransformJobName": "a"}, [("StopTransformJob", "transform-job/a")]),
        ("delete_model", {"ModelName": "a"}, [("DeleteModel", "model/a")]),
        ("describe_endpoint", {"EndpointName": "a"}, [("DescribeEndpoint", "endpoint/a")]),
        (
            "delete_endpoint_config",
            {"EndpointConfigName": "a"},
            [("DeleteEndpointConfig", "endpoint-config/a")],
        ),
        (
            "create_endpoint",
            {"EndpointName": "a", "EndpointConfigName": "b", "Tags": [{"Key": "k", "Value": "v"}]},
            [
                ("CreateEndpoint", "endpoint/a"),
                ("CreateEndpoint", "endpoint-config/b"),
                ("AddTags", "endpoint/a"),
            ],
        ),
        (
            "update_endpoint",
            {"EndpointName": "a", "EndpointConfigName": "b"},
            [("UpdateEndpoint", "endpoint/a"), ("UpdateEndpoint", "endpoint-config/b")],
        ),
        (
            "update_endpoint_weights_and_capacities",
            {"EndpointName": "a", "DesiredWeightsAndCapacities": [{"VariantName": "v"}]},
            [("UpdateEndpointWeightsAndCapacities", "endpoint/a")],
        ),
        (
            "create_model_package",
            {"ModelPackageGroupName": "g"},
            [("CreateModelPackage", "model-package/g/*"), ("CreateModelPackage", "model-package-group/g")],
        ),
        (
            "create_model_package",
            {"ModelPackageGroupName": sagemaker("model-package-group/g")},
            [("CreateModelPackage", "model-package/g/*"), ("CreateModelPackage", "model-package-group/g")],
        ),
        ("create_model_package", {"ModelPackageName": "p"}, [("CreateModelPackage", "model-package/p")]),
        (
            "describe_model_package",
            {"ModelPackageName": sagemaker("model-package/g/1")},
            [("DescribeModelPackage", "model-package/g/1")],
        ),
        (
            "update_model_package",
            {"ModelPackageArn": sagemaker("model-package/g/1")},
            [("UpdateModelPackage", "model-package/g/1")],
        ),
        ("list_model_packages", {"ModelPackageGroupName": "g"}, [("ListModelPackages", "model-package/g/*")]),
        (
            "describe_model_package_group",
            {"ModelPackageGroupName": "g"},
            [("DescribeModelPackageGroup", "model-package-group/g")],
        ),
        ("add_tags", {"ResourceArn": sagemaker("model/a"), "Tags": []}, [("AddTags", "model/a")]),
        ("list_tags", {"ResourceArn": sagemaker("model/a")}, [("ListTags", "model/a")]),
    ],
)
def test_a_call_to_sagemaker_names_its_resources(sent, method, parameters, checks):
    call = sent("sagemaker", method, **parameters)

    assert asked(call) == [(f"sagemaker:{action}", sagemaker(resource)) for action, resource in checks]


@pytest.mark.parametrize("method", ["list_training_jobs", "list_models", "list_model_packages", "list_endpoints"])
def test_a_list_of_everything_is_asked_about_everything(sent, method):
    (check,) = sent("sagemaker", method).checks

    assert check.resource == "*"


def test_a_model_is_created_with_its_execution_role(sent):
    call = sent("sagemaker", "create_model", ModelName="m", ExecutionRoleArn=ROLE)

    assert asked(call) == [("sagemaker:CreateModel", sagemaker("model/m")), ("iam:PassRole", ROLE)]


def test_a_role_deep_in_a_request_is_passed_too(sent):
    definition = {
        "RoleArn": ROLE,
        "MonitoringInputs": [{}],
        "MonitoringOutputConfig": {
            "MonitoringOutputs": [{"S3Output": {"S3Uri": "s3://bucket/reports", "LocalPath": "/opt/ml/processing"}}]
        },
        "MonitoringResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
        },
        "MonitoringAppSpecification": {"ImageUri": "image"},
    }

    call = sent(
        "sagemaker",
        "create_monitoring_schedule",
        MonitoringScheduleName="s",
        MonitoringScheduleConfig={"MonitoringJobDefinition": definition},
    )

    assert asked(call)[1] == ("iam:PassRole", ROLE)


def test_an_endpoint_is_invoked_by_name_and_keeps_its_body_to_itself(sent):
    call = sent("sagemaker-runtime", "invoke_endpoint", EndpointName="Abalone", Body=b"1,2", TargetModel="m.tar.gz")

    assert (call.service, call.operation) == ("sagemaker", "InvokeEndpoint")
    assert call.parameters == {"EndpointName": "Abalone", "TargetModel": "m.tar.gz"}
    assert asked(call) == [("sagemaker:InvokeEndpoint", sagemaker("endpoint/Abalone"))]
    assert call.checks[0].context["sagemaker:TargetModel"] == "m.tar.gz"


BUCKET, OBJECT = "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/runs/1/a b+c.csv"
IN, AT = {"Bucket": "bucket"}, {"Bucket": "bucket", "Key": "runs/1/a b+c.csv"}
PART = {**AT, "UploadId": "u"}
S3_CALLS = [
    ("list_buckets", {}, [("ListAllMyBuckets", "*")]),
    ("head_bucket", IN, [("ListBucket", BUCKET)]),
    ("create_bucket", IN, [("CreateBucket", BUCKET)]),
    ("delete_bucket", IN, [("DeleteBucket", BUCKET)]),
    ("get_bucket_location", IN, [("GetBucketLocation", BUCKET)]),
    ("list_objects", IN, [("ListBucket", BUCKET)]),
    ("list_objects_v2", IN, [("ListBucket", BUCKET)]),
    ("list_object_versions", IN, [("ListBucketVersions", BUCKET)]),
    ("list_multipart_uploads", IN, [("ListBucketMultipartUploads", BUCKET)]),
    ("get_object", AT, [("GetObject", OBJECT)]),
    ("get_object", {**AT, "VersionId": "v"}, [("GetObjectVersion", OBJECT)]),
    ("head_object", AT, [("GetObject", OBJECT)]),
    ("head_object", {**AT, "VersionId": "v"}, [("GetObjectVersion", OBJECT)]),
    (
        "get_object_attributes",
        {**AT, "ObjectAttributes": ["ETag"]},
        [("GetObject", OBJECT), ("GetObjectAttributes", OBJECT)],
    ),
    ("put_object", {**AT, "Body": b"1,2"}, [("PutObject", OBJECT)]),
    (
        "put_object",
        {**AT, "Tagging": "a=b", "ACL": "private"},
        [("PutObject", OBJECT), ("PutObjectTagging", OBJECT), ("PutObjectAcl", OBJECT)],
    ),
    ("delete_object", AT, [("DeleteObject", OBJECT)]),
    ("delete_object", {**AT, "VersionId": "v"}, [("DeleteObjectVersion", OBJECT)]),
    (
        "delete_objects",
        {**IN, "Delete": {"Objects": [{"Key": "a&b"}, {"Key": "c", "VersionId": "v"}]}},
        [("DeleteObject", f"{BUCKET}/a&b"), ("DeleteObjectVersion", f"{BUCKET}/c")],
    ),
    (
        "copy_object",
        {**AT, "CopySource": {"Bucket": "other", "Key": "d/e f"}},
        [("GetObject", "arn:aws:s3:::other/d/e f"), ("PutObject", OBJECT)],
    ),
    (
        "copy_object",
        {**AT, "CopySource": {"Bucket": "other", "Key": "d", "VersionId": "v"}},
        [("GetObjectVersion", "arn:aws:s3:::other/d"), ("PutObject", OBJECT)],
    ),
    ("create_multipart_upload", AT, [("PutObject", OBJECT)]),
    ("upload_part", {**PART, "PartNumber": 1, "Body": b"1"}, [("PutObject", OBJECT)]),
    (
        "upload_part_copy",
        {**PART, "PartNumber": 1, "CopySource": "other/d"},
        [("GetObject", "arn:aws:s3:::other/d"), ("PutObject", OBJECT)],
    ),
    ("list_parts", PART, [("ListMultipartUploadParts", OBJECT)]),
    ("complete_multipart_upload", {**PART, "MultipartUpload": {"Parts": []}}, [("PutObject", OBJECT)]),
    ("abort_multipart_upload", PART, [("AbortMultipartUpload", OBJECT)]),
    ("get_object_tagging", AT, [("GetObjectTagging", OBJECT)]),
    ("get_object_tagging", {**AT, "VersionId": "v"}, [("GetObjectVersionTagging", OBJECT)]),
    ("put_object_tagging", {**AT, "Tagging": {"TagSet": []}}, [("PutObjectTagging", OBJECT)]),
    ("get_object_acl", AT, [("GetObjectAcl", OBJECT)]),
    ("get_bucket_policy", IN, [("GetBucketPolicy", BUCKET)]),
    ("put_bucket_policy", {**IN, "Policy": "{}"}, [("PutBucketPolicy", BUCKET)]),
    ("delete_bucket_policy", IN, [("DeleteBucketPolicy", BUCKET)]),
    ("get_bucket_versioning", IN, [("GetBucketVersioning", BUCKET)]),
    ("put_bucket_versioning", {**IN, "VersioningConfiguration": {}}, [("PutBucketVersioning", BUCKET)]),
    ("get_bucket_encryption", IN, [("GetEncryptionConfiguration", BUCKET)]),
    (
        "put_bucket_encryption",
        {**IN, "ServerSideEncryptionConfiguration": {"Rules": []}},
        [("PutEncryptionConfiguration", BUCKET)],
    ),
    ("delete_bucket_encryption", IN, [("PutEncryptionConfiguration", BUCKET)]),
    ("get_bucket_lifecycle_configuration", IN, [("GetLifecycleConfiguration", BUCKET)]),
    ("put_bucket_lifecycle_configuration", IN, [("PutLifecycleConfiguration", BUCKET)]),
    ("delete_bucket_lifecycle", IN, [("PutLifecycleConfiguration", BUCKET)]),
    (
        "put_bucket_notification_configuration",
        {**IN, "NotificationConfiguration": {}},
        [("PutBucketNotification", BUCKET)],
    ),
    ("get_bucket_notification_configuration", IN, [("GetBucketNotification", BUCKET)]),
    (
        "put_public_access_block",
        {**IN, "PublicAccessBlockConfiguration": {}},
        [("PutBucketPublicAccessBlock", BUCKET)],
    ),
    ("delete_bucket_cors", IN, [("PutBucketCORS", BUCKET)]),
    ("delete_bucket_tagging", IN, [("PutBucketTagging", BUCKET)]),
    ("get_bucket_replication", IN, [("GetReplicationConfiguration", BUCKET)]),
    ("list_bucket_inventory_configurations", IN, [("GetInventoryConfiguration", BUCKET)]),
    ("get_bucket_inventory_configuration", {**IN, "Id": "i"}, [("GetInventoryConfiguration", BUCKET)]),
    ("get_bucket_ownership_controls", IN, [("GetBucketOwnershipControls", BUCKET)]),
    ("get_object_lock_configuration", IN, [("GetBucketObjectLockConfiguration", BUCKET)]),
]


@pytest.mark.parametrize(("method", "parameters", "checks"), S3_CALLS)
def test_a_call_to_s3_has_the_actions_that_iam_knows(sent, method, parameters, checks):
    call = sent("s3", method, **parameters)

    assert call.operation.lower() == method.replace("_", "")
    assert asked(call) == [(f"s3:{action}", resource) for action, resource in checks]


def test_a_listing_of_s3_tells_its_prefix(sent):
    (check,) = sent("s3", "list_objects_v2", Bucket="bucket", Prefix="in service/a+b", Delimiter="/").checks
    (bare,) = sent("s3", "list_objects_v2", Bucket="bucket").checks

    assert check.context["s3:prefix"] == "in service/a+b"
    assert check.context["s3:delimiter"] == "/"
    assert "s3:prefix" not in bare.context


def test_an_object_keeps_the_slash_at_its_end(sent):
    call = sent("s3", "put_object", Bucket="bucket", Key="folder//")

    assert call.parameters["Key"] == "folder//"


@pytest.mark.parametrize(
    ("method", "key", "checks"),
    [
        ("put_object", KEY, [("kms:GenerateDataKey", KEY)]),
        ("put_object", KEY.rpartition("/")[2], [("kms:GenerateDataKey", KEY)]),
        ("put_object", "alias/mine", [("kms:GenerateDataKey", ANY_RESOURCE)]),
        ("put_object", "alias/aws/s3", []),
        ("create_multipart_upload", KEY, [("kms:GenerateDataKey", KEY), ("kms:Decrypt", KEY)]),
    ],
)
def test_an_object_under_a_key_asks_for_the_key_too(sent, method, key, checks):
    call = sent("s3", method, **AT, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)

    assert asked(call)[1:] == checks
    assert all(check.context["kms:ViaService"] == f"s3.{REGION}.amazonaws.com" for check in call.checks[1:])


def test_a_bucket_may_be_in_the_host_name(session, recorder):
    recorder.requests.clear()
    config = Config(s3={"addressing_style": "virtual"}, proxies={"http": recorder.url}, retries={"max_attempts": 0})
    s3 = session.client("s3", endpoint_url=f"http://s3.{REGION}.amazonaws.com", config=config)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="my.bucket", Key="a/b")
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket="bucket")
    s3.close()

    calls = [read_call(*request, account=ACCOUNT, region=REGION) for request in recorder.requests]

    assert [asked(call) for call in calls] == [
        [("s3:GetObject", "arn:aws:s3:::my.bucket/a/b")],
        [("s3:ListBucket", "arn:aws:s3:::bucket")],
    ]


@pytest.mark.parametrize(
    ("host", "resource"),
    [
        ("127.0.0.1:5000", "arn:aws:s3:::one/two"),
        ("localhost:5000", "arn:aws:s3:::one/two"),
        ("s3.localhost:5000", "arn:aws:s3:::one/two"),
        ("s3.eu-west-1.amazonaws.com", "arn:aws:s3:::one/two"),
        ("bucket.localhost:5000", "arn:aws:s3:::bucket/one/two"),
        ("bucket.s3.amazonaws.com", "arn:aws:s3:::bucket/one/two"),
        ("bucket.s3-eu-west-1.amazonaws.com", "arn:aws:s3:::bucket/one/two"),
    ],
)
def test_a_host_name_tells_whether_it_holds_the_bucket(host, resource):
    assert asked(read("GET", "/one/two", service="s3", host=host)) == [("s3:GetObject", resource)]


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_a_presigned_url_is_read_like_a_signed_request(client, signature):
    url = urlsplit(client("s3", signature_version=signature).generate_presigned_url("get_object", Params=AT))

    call = read_call("GET", url.path, url.query, {"Host": url.netloc}, b"", account=ACCOUNT, region=REGION)

    assert asked(call) == [("s3:GetObject", OBJECT)]


def arn(service, resource):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


MACHINE = arn("states", "stateMachine:m")
TOPIC = arn("sns", "t")
SCALED = "sagemaker:variant:DesiredInstanceCount"
OTHER_CALLS = [
    ("ecr", "get_authorization_token", {}, [("ecr:GetAuthorizationToken", "*")]),
    (
        "ecr",
        "describe_images",
        {"repositoryName": "a/b"},
        [("ecr:DescribeImages", arn("ecr", "repository/a/b"))],
    ),
    ("ecr", "describe_repositories", {}, [("ecr:DescribeRepositories", arn("ecr", "repository/*"))]),
    (
        "ecr",
        "describe_repositories",
        {"repositoryNames": ["one", "two"]},
        [("ecr:DescribeRepositories", arn("ecr", f"repository/{name}")) for name in ("one", "two")],
    ),
    (
        "logs",
        "put_log_events",
        {"logGroupName": "/g", "logStreamName": "s/1", "logEvents": [{"timestamp": 1, "message": "m"}]},
        [("logs:PutLogEvents", arn("logs", "log-group:/g:log-stream:s/1"))],
    ),
    (
        "logs",
        "create_log_stream",
        {"logGroupName": "/g", "logStreamName": "s"},
        [("logs:CreateLogStream", arn("logs", "log-group:/g:log-stream:s"))],
    ),
    (
        "logs",
        "get_log_events",
        {"logGroupIdentifier": arn("logs", "log-group:/g"), "logStreamName": "s"},
        [("logs:GetLogEvents", arn("logs", "log-group:/g:log-stream:s"))],
    ),
    (
        "logs",
        "describe_log_streams",
        {"logGroupName": "/g"},
        [("logs:DescribeLogStreams", arn("logs", "log-group:/g:log-stream:"))],
    ),
    (
        "logs",
        "filter_log_events",
        {"logGroupName": "/g"},
        [("logs:FilterLogEvents", arn("logs", "log-group:/g:log-stream:"))],
    ),
    (
        "logs",
        "create_log_group",
        {"logGroupName": "/g"},
        [("logs:CreateLogGroup", arn("logs", "log-group:/g:log-stream:"))],
    ),
    ("logs", "describe_log_groups", {}, [("logs:DescribeLogGroups", arn("logs", "log-group::log-stream:"))]),
    (
        "logs",
        "list_tags_for_resource",
        {"resourceArn": arn("logs", "log-group:/g")},
        [("logs:ListTagsForResource", arn("logs", "log-group:/g"))],
    ),
    ("sts", "get_caller_identity", {}, []),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "build"}, [("sts:AssumeRole", ROLE)]),
    (
        "sts",
        "assume_role",
        {
            "RoleArn": ROLE,
            "RoleSessionName": "build",
            "Tags": [{"Key": "k", "Value": "v"}],
            "SourceIdentity": "builder",
        },
        [("sts:AssumeRole", ROLE), ("sts:TagSession", ROLE), ("sts:SetSourceIdentity", ROLE)],
    ),
    ("iam", "get_role", {"RoleName": "Jobs"}, [("iam:GetRole", ROLE)]),
    (
        "iam",
        "create_role",
        {"RoleName": "r", "Path": "/p/", "AssumeRolePolicyDocument": "{}"},
        [("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/p/r")],
    ),
    (
        "iam",
        "put_role_policy",
        {"RoleName": "Jobs", "PolicyName": "p", "PolicyDocument": "{}"},
        [("iam:PutRolePolicy", ROLE)],
    ),
    ("iam", "get_policy", {"PolicyArn": f"{ROLE}-policy"}, [("iam:GetPolicy", f"{ROLE}-policy")]),
    ("iam", "list_roles", {}, [("iam:ListRoles", "*")]),
    (
        "cloudformation",
        "create_stack",
        {"StackName": "s", "TemplateBody": "{}", "RoleARN": ROLE},
        [("cloudformation:CreateStack", arn("cloudformation", "stack/s/*")), ("iam:PassRole", ROLE)],
    ),
    (
        "cloudformation",
        "describe_stacks",
        {"StackName": arn("cloudformation", "stack/s/1")},
        [("cloudformation:DescribeStacks", arn("cloudformation", "stack/s/1"))],
    ),
    ("cloudformation", "describe_stacks", {}, [("cloudformation:DescribeStacks", ANY_RESOURCE)]),
    ("cloudformation", "list_stacks", {}, [("cloudformation:ListStacks", "*")]),
    (
        "codebuild",
        "start_build",
        {"projectName": "p"},
        [("codebuild:StartBuild", arn("codebuild", "project/p"))],
    ),
    (
        "codebuild",
        "batch_get_builds",
        {"ids": ["p:1-2", arn("codebuild", "build/q:3")]},
        [("codebuild:BatchGetBuilds", arn("codebuild", f"project/{name}")) for name in "pq"],
    ),
    (
        "codebuild",
        "batch_get_reports",
        {"reportArns": [arn("codebuild", "report/g:1")]},
        [("codebuild:BatchGetReports", ANY_RESOURCE)],
    ),
    (
        "codepipeline",
        "start_pipeline_execution",
        {"name": "p"},
        [("codepipeline:StartPipelineExecution", arn("codepipeline", "p"))],
    ),
    (
        "codepipeline",
        "get_pipeline_execution",
        {"pipelineName": "p", "pipelineExecutionId": "e"},
        [("codepipeline:GetPipelineExecution", arn("codepipeline", "p"))],
    ),
    (
        "codepipeline",
        "put_approval_result",
        {
            "pipelineName": "p",
            "stageName": "s",
            "actionName": "a",
            "token": "t",
            "result": {"summary": "", "status": "Approved"},
        },
        [("codepipeline:PutApprovalResult", arn("codepipeline", "p/s/a"))],
    ),
    (
        "codepipeline",
        "retry_stage_execution",
        {"pipelineName": "p", "stageName": "s", "pipelineExecutionId": "e", "retryMode": "FAILED_ACTIONS"},
        [("codepipeline:RetryStageExecution", arn("codepipeline", "p/s"))],
    ),
    ("events", "put_rule", {"Name": "r"}, [("events:PutRule", arn("events", "rule/r"))]),
    (
        "events",
        "put_targets",
        {"Rule": "r", "EventBusName": "b", "Targets": [{"Id": "1", "Arn": TOPIC, "RoleArn": ROLE}]},
        [("events:PutTargets", arn("events", "rule/b/r")), ("iam:PassRole", ROLE)],
    ),
    (
        "events",
        "put_events",
        {"Entries": [{"Detail": "{}"}, {"EventBusName": arn("events", "event-bus/b")}, {}]},
        [("events:PutEvents", arn("events", f"event-bus/{name}")) for name in ("default", "b")],
    ),
    ("events", "list_rules", {}, [("events:ListRules", "*")]),
    ("sns", "publish", {"TopicArn": TOPIC, "Message": "m"}, [("sns:Publish", TOPIC)]),
    ("sns", "publish", {"PhoneNumber": "+1", "Message": "m"}, [("sns:Publish", ANY_RESOURCE)]),
    (
        "sns",
        "publish_batch",
        {"TopicArn": TOPIC, "PublishBatchRequestEntries": [{"Id": "1", "Message": "m"}]},
        [("sns:Publish", TOPIC)],
    ),
    ("sns", "create_topic", {"Name": "t"}, [("sns:CreateTopic", TOPIC)]),
    (
        "sqs",
        "send_message",
        {"QueueUrl": f"http://localhost/{ACCOUNT}/q", "MessageBody": "m"},
        [("sqs:SendMessage", arn("sqs", "q"))],
    ),
    ("ssm", "get_parameter", {"Name": "/a/b:3"}, [("ssm:GetParameter", arn("ssm", "parameter/a/b"))]),
    (
        "ssm",
        "get_parameters",
        {"Names": ["a", arn("ssm", "parameter/b")]},
        [("ssm:GetParameters", arn("ssm", f"parameter/{name}")) for name in "ab"],
    ),
    (
        "ssm",
        "get_parameters_by_path",
        {"Path": "/a"},
        [("ssm:GetParametersByPath", arn("ssm", "parameter/a"))],
    ),
    ("ssm", "get_document", {"Name": "d"}, [("ssm:GetDocument", ANY_RESOURCE)]),
    ("kms", "describe_key", {"KeyId": KEY}, [("kms:DescribeKey", KEY)]),
    ("kms", "describe_key", {"KeyId": KEY.rpartition("/")[2]}, [("kms:DescribeKey", KEY)]),
    ("kms", "encrypt", {"KeyId": "alias/a", "Plaintext": b"p"}, [("kms:Encrypt", ANY_RESOURCE)]),
    ("kms", "decrypt", {"CiphertextBlob": b"c"}, [("kms:Decrypt", ANY_RESOURCE)]),
    (
        "kms",
        "create_alias",
        {"AliasName": "alias/a", "TargetKeyId": KEY},
        [("kms:CreateAlias", arn("kms", "alias/a")), ("kms:CreateAlias", KEY)],
    ),
    (
        "kms",
        "re_encrypt",
        {"CiphertextBlob": b"c", "DestinationKeyId": KEY},
        [("kms:ReEncryptFrom", ANY_RESOURCE), ("kms:ReEncryptTo", KEY)],
    ),
    ("kms", "list_keys", {}, [("kms:ListKeys", "*")]),
    (
        "codecommit",
        "get_branch",
        {"repositoryName": "r", "branchName": "model"},
        [("codecommit:GetBranch", arn("codecommit", "r"))],
    ),
    ("lambda", "invoke", {"FunctionName": "f"}, [("lambda:InvokeFunction", arn("lambda", "function:f"))]),
    (
        "lambda",
        "invoke",
        {"FunctionName": arn("lambda", "function:f"), "Qualifier": "live"},
        [("lambda:InvokeFunction", arn("lambda", "function:f:live"))],
    ),
    (
        "lambda",
        "get_function",
        {"FunctionName": f"{ACCOUNT}:function:f"},
        [("lambda:GetFunction", arn("lambda", "function:f"))],
    ),
    ("lambda", "list_functions", {}, [("lambda:ListFunctions", "*")]),
    (
        "lambda",
        "create_function",
        {"FunctionName": "f", "Role": ROLE, "Code": {"ImageUri": "i"}},
        [("lambda:CreateFunction", arn("lambda", "function:f")), ("iam:PassRole", ROLE)],
    ),
    ("stepfunctions", "start_execution", {"stateMachineArn": MACHINE}, [("states:StartExecution", MACHINE)]),
    ("cloudwatch", "describe_alarms", {}, [("cloudwatch:DescribeAlarms", arn("cloudwatch", "alarm:*"))]),
    (
        "cloudwatch",
        "describe_alarms",
        {"AlarmNames": ["a", "b"]},
        [("cloudwatch:DescribeAlarms", arn("cloudwatch", f"alarm:{name}")) for name in "ab"],
    ),
    (
        "cloudwatch",
        "put_dashboard",
        {"DashboardName": "d", "DashboardBody": "{}"},
        [("cloudwatch:PutDashboard", arn("cloudwatch", "dashboard/d").replace(REGION, ""))],
    ),
    (
        "application-autoscaling",
        "register_scalable_target",
        {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v", "ScalableDimension": SCALED},
        [("application-autoscaling:RegisterScalableTarget", ANY_RESOURCE)],
    ),
    (
        "sagemaker",
        "update_endpoint",
        {
            "EndpointName": "e",
            "EndpointConfigName": "c",
            "DeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
        },
        [
            ("sagemaker:UpdateEndpoint", arn("sagemaker", "endpoint/e")),
            ("sagemaker:UpdateEndpoint", arn("sagemaker", "endpoint-config/c")),
            ("cloudwatch:DescribeAlarms", arn("cloudwatch", "alarm:a")),
        ],
    ),
    ("cloudwatch", "get_metric_data", {"MetricDataQueries": [], "StartTime": 1, "EndTime": 2}, None),
    (
        "scheduler",
        "create_schedule",
        {
            "Name": "s",
            "ScheduleExpression": "rate(1 hour)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": TOPIC, "RoleArn": ROLE},
        },
        [("scheduler:CreateSchedule", arn("scheduler", "schedule/default/s")), ("iam:PassRole", ROLE)],
    ),
    (
        "scheduler",
        "get_schedule",
        {"Name": "s", "GroupName": "g"},
        [("scheduler:GetSchedule", arn("scheduler", "schedule/g/s"))],
    ),
    ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "sagemaker"}, None),
    ("dynamodb", "get_item", {"TableName": "t", "Key": {}}, [("dynamodb:GetItem", ANY_RESOURCE)]),
    (
        "secretsmanager",
        "get_secret_value",
        {"SecretId": "s"},
        [("secretsmanager:GetSecretValue", ANY_RESOURCE)],
    ),
    ("ec2", "describe_vpcs", {}, [("ec2:DescribeVpcs", "*")]),
]


@pytest.mark.parametrize(("service", "method", "parameters", "checks"), OTHER_CALLS)
def test_a_call_names_its_action_and_resources(sent, service, method, parameters, checks):
    call = sent(service, method, **parameters)

    if checks is None:
        (check,) = call.checks
        assert check.resource == "*"
    else:
        assert asked(call) == checks
        assert all(passed(check) == f"{call.service}.amazonaws.com" for check in call.checks if passed(check))


def passed(check):
    return check.context.get("iam:PassedToService")


@pytest.mark.parametrize("protocol", ["cbor", "json", "query"])
def test_a_metric_tells_its_namespace_whatever_the_protocol(protocol):
    body = {"Namespace": "Abalone", "MetricData": []}
    if protocol == "cbor":
        encoded = b"\xa2iNamespacegAbalonejMetricData\x80"
        call = read(
            "POST",
            "/service/GraniteServiceVersion20100801/operation/PutMetricData",
            service="monitoring",
            body=encoded,
            smithy_protocol="rpc-v2-cbor",
            content_type="application/cbor",
        )
    elif protocol == "json":
        call = read(
            "POST",
            service="monitoring",
            body=gzip.compress(json.dumps(body).encode()),
            x_amz_target="GraniteServiceVersion20100801.PutMetricData",
            content_type="application/x-amz-json-1.0",
            content_encoding="gzip",
        )
    else:
        call = read(
            "POST",
            service="monitoring",
            body=b"Action=PutMetricData&Version=2010-08-01&Namespace=Abalone&MetricData.member.1.MetricName=rmse",
            content_type="application/x-www-form-urlencoded; charset=utf-8",
        )

    (check,) = call.checks
    assert (call.service, call.operation, call.parameters["Namespace"]) == (
        "cloudwatch",
        "PutMetricData",
        "Abalone",
    )
    assert (check.action, check.resource) == ("cloudwatch:PutMetricData", "*")
    assert check.context["cloudwatch:namespace"] == "Abalone"


def test_a_metric_of_boto3_tells_its_namespace(sent):
    call = sent("cloudwatch", "put_metric_data", Namespace="Abalone", MetricData=[{"MetricName": "m", "Value": 1.5}])

    assert call.checks[0].context["cloudwatch:namespace"] == "Abalone"
    assert call.parameters["MetricData"] == [{"MetricName": "m", "Value": 1.5}]


def test_a_form_is_read_into_lists_and_maps(sent):
    call = sent(
        "cloudformation",
        "create_stack",
        StackName="s",
        Parameters=[
            {"ParameterKey": "a", "ParameterValue": "1"},
            {"ParameterKey": "b", "ParameterValue": ""},
        ],
        Capabilities=["CAPABILITY_IAM"],
        Tags=[{"Key": "team", "Value": "ml"}],
    )

    assert call.parameters["Parameters"][1] == {"ParameterKey": "b", "ParameterValue": ""}
    assert call.parameters["Capabilities"] == ["CAPABILITY_IAM"]
    assert call.checks[0].context["aws:RequestTag/team"] == "ml"


def test_a_deployment_tells_its_change_set_and_role(sent):
    call = sent(
        "cloudformation",
        "create_change_set",
        StackName="s",
        ChangeSetName="c",
        TemplateBody="{}",
        RoleARN=ROLE,
    )

    assert call.checks[0].context["cloudformation:ChangeSetName"] == "c"
    assert call.checks[0].context["cloudformation:RoleArn"] == ROLE


def test_an_alias_of_a_key_is_a_condition_key(sent):
    call = sent("kms", "encrypt", KeyId=arn("kms", "alias/a"), Plaintext=b"p")

    assert call.checks[0].context["kms:RequestAlias"] == "alias/a"


def test_what_a_call_asks_is_what_a_policy_answers(sent):
    statements = [
        {
            "Effect": "Allow",
            "Action": "sagemaker:CreateTrainingJob",
            "Resource": sagemaker("training-job/Abalone-*"),
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": ROLE,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
    ]
    policies = [{"Version": "2012-10-17", "Statement": statements}]

    def refused(call):
        decisions = {
            check.action: decide(policies, action=check.action, resource=check.resource, context=check.context)
            for check in call.checks
        }
        return [action for action, decision in decisions.items() if not decision.allowed]

    assert refused(sent("sagemaker", "create_training_job", **JOB)) == []
    tagged = sent("sagemaker", "create_training_job", **JOB, Tags=[{"Key": "team", "Value": "ml"}])
    assert refused(tagged) == ["sagemaker:AddTags"]
    other = sent("sagemaker", "create_training_job", **{**JOB, "TrainingJobName": "other"})
    assert refused(other) == ["sagemaker:CreateTrainingJob"]


def read(method, path="/", query="", *, service="sagemaker", body=b"", **headers):
    """Read a request that is signed for ``service``; the headers' names have _ for the hyphen."""
    scope = f"AKIDEXAMPLE/20260601/{REGION}/{service}/aws4_request"
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_call(method, path, query, {**signed, **named}, body, account=ACCOUNT, region=REGION)


def test_an_operation_of_an_unknown_service_may_touch_anything():
    call = read("POST", service="mgn", x_amz_target="Mgn.StartTest", body=b"{}")

    assert call.checks == (Check(action="mgn:StartTest", resource=ANY_RESOURCE, context=call.checks[0].context),)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (("GET", "/", "", {}, b""), "no credential scope in 'Authorization' or 'X-Amz-Credential'"),
        (("GET", "/", "", {"Authorization": "Bearer x"}, b""), "no credential scope"),
        (("GET", "/", "X-Amz-Credential=a/b", {}, b""), "no credential scope"),
    ],
)
def test_fails_when_nobody_signed(request_, message):
    with pytest.raises(CallError, match=message):
        read_call(*request_, account=ACCOUNT, region=REGION)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"method": "PATCH", "service": "lambda", "path": "/x"},
            "no operation of service 'lambda' .* PATCH /x",
        ),
        ({"method": "GET", "service": "sagemaker", "path": "/x"}, "no operation of service 'sagemaker'"),
        ({"method": "GET", "service": "nosuch", "path": "/x"}, "service 'nosuch' is not known, so GET /x"),
        ({"method": "POST", "service": "s3", "path": "/bucket/key"}, "no operation of service 's3'"),
        ({"method": "POST", "x_amz_target": "SageMaker.CreateModel", "body": b"{"}, "cannot be decoded"),
        (
            {"method": "POST", "x_amz_target": "SageMaker.CreateModel", "body": b"[]"},
            "must be a map .* got list",
        ),
        (
            {"method": "POST", "x_amz_target": "A.B", "body": b"{}", "content_encoding": "gzip"},
            "the body says gzip, and is not",
        ),
        (
            {
                "method": "POST",
                "path": "/service/X/operation/PutMetricData",
                "body": b"\xff",
                "content_type": "application/cbor",
            },
            r"the body \(application/cbor\) cannot be decoded",
        ),
        (
            {
                "method": "POST",
                "service": "sts",
                "body": b"Action=\xff",
                "content_type": "application/x-www-form-urlencoded",
            },
            "the form cannot be decoded",
        ),
        (
            {
                "method": "POST",
                "service": "sts",
                "body": b"Action=",
                "content_type": "application/x-www-form-urlencoded",
            },
            "the request to 'sts' does not say its operation",
        ),
        (
            {"method": "POST", "service": "s3", "path": "/bucket", "query": "delete", "body": b"no xml"},
            "the body of DeleteObjects is not XML",
        ),
        (
            {"method": "PUT", "service": "s3", "path": "/bucket/key", "x_amz_copy_source": "nothing"},
            "the copy source 'nothing' is not <bucket>/<key>",
        ),
    ],
)
def test_fails_when_a_request_cannot_be_read(request_, message):
    with pytest.raises(CallError, match=message):
        read(**request_)
