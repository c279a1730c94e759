"""A local folder whose files are copied to where the raw data is."""

from __future__ import annotations

from pathlib import Path

from constructs import Construct

from ._asset import add_folder
from ._permissions import Allow, RepoPermissions, bucket_arn, write_log
from ._reference import Verbatim
from ._resource import Resource
from ._role import service_role

_FUNCTION = Path(__file__).parent / "runtime" / "data_folder.py"


def copy_folder(scope: Construct, folder: str, home: RepoPermissions) -> list[Allow]:
    """Copy the files whenever they have changed and the stack is deployed; what was copied earlier stays.

    CDK's own way, BucketDeployment, takes a layer of 22 megabytes with every app: a folder of samples needs no more
    than a few lines.

    Args:
        scope: The home of the model.
        folder: Relative to where the app runs.
        home: Where the files go.

    Returns:
        What the copying function may do.
    """
    root = Path(folder)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    asset = add_folder(scope, files)
    log_group = f"/aws/lambda/${{AWS::StackName}}-{home.model_name}-data"
    may = [
        Allow(["s3:GetObject"], [f"{bucket_arn(asset.bucket_name)}/{asset.key}"]),
        *home.write(f"{home.data_prefix}*", "the files have the names that they have in the folder"),
        write_log(log_group, "Lambda names the log streams after the function's processes"),
    ]
    role = service_role(scope, "DataRole", "lambda.amazonaws.com", may)
    function = {
        "Description": f"Copies the data of {home.model_name} when its stack is deployed",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Code": {"ZipFile": Verbatim(_FUNCTION.read_text(encoding="utf-8"))},
        "Role": role.arn,
        "Timeout": 900,
        "MemorySize": 512,
        "LoggingConfig": {"LogGroup": log_group},
    }
    copier = Resource(scope, "DataFunction", "AWS::Lambda::Function", function)
    properties = {
        "ServiceToken": copier.arn,
        "SourceBucketNames": [asset.bucket_name],
        "SourceObjectKeys": [asset.key],
        "DestinationBucketName": home.bucket_name,
        "DestinationBucketKeyPrefix": home.data_prefix,
    }
    Resource(scope, "DataCopy", "Custom::MlDataFolder", properties)
    return may


FINDINGS = {"AwsSolutions-L1": "the function is tested with this version of Python, which AWS keeps until 2029"}
"""What cdk-nag finds besides, and why it may stand."""
