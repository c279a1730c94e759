"""Call S3: what IAM checks for a request to S3, whose actions are not named like its operations.

Source: the Service Authorization Reference, and "Required permissions for S3 API operations" of its guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from .call_checks import CallError, Check, Request
from .policy import ANY_RESOURCE

__all__ = ["bucket_of_host", "s3_checks"]

# "s3.localhost" is how some local gateways are called.
_HOSTS = (
    re.compile(r"(.+)\.s3(?:[.-].+)?", re.IGNORECASE),
    re.compile(r"(?!s3\.)(.+)\.localhost", re.IGNORECASE),
)
# Operations whose action has another name, except those that the rules below rename.
_ACTIONS = {
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "RenameObject": "PutObject",
    "SelectObjectContent": "GetObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
# What the configuration calls say after Get, Put or Delete, and what the actions say there.
_CONFIGURATIONS = {
    "BucketAccelerateConfiguration": "AccelerateConfiguration",
    "BucketAnalyticsConfiguration": "AnalyticsConfiguration",
    "BucketCors": "BucketCORS",
    "BucketEncryption": "EncryptionConfiguration",
    "BucketIntelligentTieringConfiguration": "IntelligentTieringConfiguration",
    "BucketInventoryConfiguration": "InventoryConfiguration",
    "BucketLifecycle": "LifecycleConfiguration",
    "BucketLifecycleConfiguration": "LifecycleConfiguration",
    "BucketMetricsConfiguration": "MetricsConfiguration",
    "BucketNotificationConfiguration": "BucketNotification",
    "BucketOwnershipControls": "BucketOwnershipControls",
    "BucketReplication": "ReplicationConfiguration",
    "BucketTagging": "BucketTagging",
    "ObjectLockConfiguration": "BucketObjectLockConfiguration",
    "PublicAccessBlock": "BucketPublicAccessBlock",
}
_LIST_CONFIGURATIONS = re.compile(r"List(?P<what>Bucket\w+Configuration)s")
# Operations on one version of an object ask for an action of their own.
_OF_A_VERSION = re.compile(r"(?P<verb>Get|Put|Delete)Object(?P<what>|Acl|Attributes|Tagging|Torrent)")
_CONTEXT = {
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": "s3:VersionId",
    "ACL": "s3:x-amz-acl",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "s3:x-amz-storage-class",
    "CopySource": "s3:x-amz-copy-source",
}


def bucket_of_host(host: str) -> str:
    """Return the bucket that a host name begins with, or an empty text for a path-style request."""
    name = re.sub(r":\d+$", "", host)
    return next((found[1] for form in _HOSTS if (found := form.fullmatch(name))), "")


def s3_checks(request: Request) -> Iterator[Check]:
    """Yield what IAM checks for a request to S3.

    Raises:
        CallError: if the list of objects to delete, or the source of a copy, cannot be read.
    """
    context = {key: request.text(name) for name, key in _CONTEXT.items() if request.text(name)}
    if request.operation == "DeleteObjects":
        yield from _each_deletion(request)
        return
    if request.operation in ("CopyObject", "UploadPartCopy"):
        yield _source(request)
    if request.operation == "GetObjectAttributes":
        yield request.check(_resource(request), action=_action("GetObject", request.text("VersionId")), context=context)
    yield request.check(
        _resource(request), action=_action(request.operation, request.text("VersionId")), context=context
    )
    if request.operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        if request.text("Tagging"):
            yield request.check(_resource(request), action="PutObjectTagging", context=context)
        if request.text("ACL"):
            yield request.check(_resource(request), action="PutObjectAcl", context=context)
        yield from _encryption(request)


def _resource(request: Request) -> str:
    bucket, key = request.text("Bucket"), request.text("Key")
    if not bucket:
        return "*"
    return _arn(request, bucket, key)


def _arn(request: Request, bucket: str, key: str) -> str:
    return request.arn(f"{bucket}/{key}" if key else bucket, region="", account="")


def _action(operation: str, version: str) -> str:
    listing = _LIST_CONFIGURATIONS.fullmatch(operation)
    if listing:
        return f"Get{_CONFIGURATIONS.get(listing['what'], listing['what'])}"
    for verb in ("Get", "Put", "Delete"):
        named = _CONFIGURATIONS.get(operation.removeprefix(verb))
        if named and operation.startswith(verb):
            # Taking a configuration away is a way of putting one.
            return f"{'Get' if verb == 'Get' else 'Put'}{named}"
    action = _ACTIONS.get(operation, operation)
    of_a_version = _OF_A_VERSION.fullmatch(action) if version else None
    if of_a_version is None or (of_a_version["verb"], of_a_version["what"]) == ("Put", ""):
        return action
    return f"{of_a_version['verb']}ObjectVersion{of_a_version['what']}"


def _each_deletion(request: Request) -> Iterator[Check]:
    try:
        entries = list(ElementTree.fromstring(request.body).iter())
    except ElementTree.ParseError as error:
        raise CallError(f"the body of DeleteObjects is not XML: {error}") from error
    for entry in entries:
        if entry.tag.rpartition("}")[2] != "Object":
            continue
        values = {child.tag.rpartition("}")[2]: child.text or "" for child in entry}
        version = values.get("VersionId", "")
        yield request.check(
            _arn(request, request.text("Bucket"), values.get("Key", "")),
            action=_action("DeleteObject", version),
            context={"s3:VersionId": version} if version else {},
        )


def _source(request: Request) -> Check:
    path, _, query = request.text("CopySource").partition("?")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not slash:
        raise CallError(f"the copy source '{path}' is not <bucket>/<key>")
    version = parse_qs(query).get("versionId", [""])[0]
    return request.check(_arn(request, bucket, key), action=_action("GetObject", version))


def _encryption(request: Request) -> Iterator[Check]:
    key = request.text("SSEKMSKeyId")
    # The key that AWS manages for S3 lets the account in by its own policy.
    if not key or key.endswith("alias/aws/s3"):
        return
    known = key if ":key/" in key else request.arn(f"key/{key}", service="kms")
    resource = ANY_RESOURCE if "alias/" in key else known
    # A multipart upload reads its parts back (source: S3 guide, "Multipart upload and permissions").
    actions = [
        "kms:GenerateDataKey",
        *(["kms:Decrypt"] if request.operation == "CreateMultipartUpload" else []),
    ]
    for action in actions:
        yield request.check(resource, action=action, context={"kms:ViaService": f"s3.{request.region}.amazonaws.com"})
