"""Copies the files of an archive into a bucket: a Lambda function that CloudFormation calls for a custom resource."""

import io
import json
import urllib.request
import zipfile
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    """Copy, unless the resource is leaving, and tell CloudFormation how it went."""
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"])}
    try:
        if event["RequestType"] != "Delete":
            import boto3

            copy(boto3.client("s3"), event["ResourceProperties"])
    except Exception as error:
        # Whatever it is: CloudFormation waits for an hour for an answer.
        print(f"{type(error).__name__}: {error}")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:1000]}
    body = json.dumps(answer).encode()
    # With a type of content the signature of the address would not hold.
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


def copy(s3: Any, properties: dict[str, Any]) -> None:
    """Write each file of each archive under the prefix."""
    bucket, prefix = properties["DestinationBucketName"], properties["DestinationBucketKeyPrefix"]
    for source, key in zip(properties["SourceBucketNames"], properties["SourceObjectKeys"], strict=True):
        archive = zipfile.ZipFile(io.BytesIO(s3.get_object(Bucket=source, Key=key)["Body"].read()))
        for name in archive.namelist():
            if not name.endswith("/"):
                s3.put_object(Bucket=bucket, Key=prefix + name, Body=archive.read(name))
