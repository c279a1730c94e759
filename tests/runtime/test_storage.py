"""What the programs read from and write to S3."""

import io

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime import storage
from cdk_ml_release.runtime.contract import StageFailed

from .fakes import Refused, played_by
from .samples import BUCKET

DATA = f"s3://{BUCKET}/data/"


class Forbidding:
    """An S3 of which the caller may list one prefix only, and that answers as AWS does to those who may not list."""

    def __init__(self, *keys):
        self.keys = keys

    def get_object(self, **_):
        raise Refused("AccessDenied", "Access Denied")

    def list_objects_v2(self, Bucket, Prefix, **_):  # noqa: N803
        return {"Contents": [{"Key": key} for key in self.keys if key.startswith(Prefix)]}


class Paged:
    """An S3 whose lists have one object a page."""

    def __init__(self, last):
        self.tags = ["first", "second", last]

    def list_objects_v2(self, ContinuationToken="0", **_):  # noqa: N803
        at = int(ContinuationToken)
        page = {"Contents": [{"Key": f"data/{at}", "ETag": self.tags[at], "Size": 1}]}
        more = at + 1 < len(self.tags)
        return page | ({"IsTruncated": True, "NextContinuationToken": str(at + 1)} if more else {"IsTruncated": False})


class Contended:
    """An S3 that somebody else writes to at the same time."""

    def __init__(self, *refusals):
        self.refusals = [Refused(code) for code in refusals]

    def put_object(self, **_):
        if self.refusals:
            raise self.refusals.pop(0)
        return {}


def test_an_object_is_read(s3):
    s3.put_object(Bucket=BUCKET, Key="a/b", Body=io.BytesIO(b"content"))

    assert storage.read(s3, BUCKET, "a/b") == b"content"


def test_a_missing_object_is_none(s3):
    assert storage.read(s3, BUCKET, "a/b") is None


def test_an_object_that_is_missing_to_a_reader_who_may_not_list_the_bucket_is_none():
    s3 = played_by("s3", Forbidding("a/b.json"))

    assert storage.read(s3, BUCKET, "a/b") is None


def test_refuses_to_call_a_forbidden_object_missing():
    s3 = played_by("s3", Forbidding("a/b"))

    with pytest.raises(ClientError, match="AccessDenied"):
        storage.read(s3, BUCKET, "a/b")


def test_refuses_to_read_from_a_bucket_that_is_not_there(s3):
    with pytest.raises(ClientError, match="NoSuchBucket"):
        storage.read(s3, "another", "a/b")


def test_the_version_of_data_follows_its_contents(s3):
    s3.put_object(Bucket=BUCKET, Key="data/", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="data/rows.csv", Body=b"1\n")
    first = storage.data_version(s3, DATA)
    s3.put_object(Bucket=BUCKET, Key="data/rows.csv", Body=b"1\n")
    s3.put_object(Bucket=BUCKET, Key="runs/x", Body=b"elsewhere")
    same = storage.data_version(s3, DATA)
    s3.put_object(Bucket=BUCKET, Key="data/rows.csv", Body=b"2\n")

    assert same == first
    assert storage.data_version(s3, DATA) != first
    assert len(first) == 16


def test_data_of_many_objects_is_versioned_as_a_whole():
    versions = {storage.data_version(played_by("s3", Paged(last)), DATA) for last in ("one", "other")}

    assert len(versions) == 2


def test_refuses_an_empty_data_prefix(s3):
    s3.put_object(Bucket=BUCKET, Key="data/", Body=b"")

    with pytest.raises(StageFailed, match=f"no data under {DATA}: upload at least one object there"):
        storage.data_version(s3, DATA)


def test_an_object_is_written_once(s3):
    assert storage.write_once(s3, BUCKET, "k", "one") is True
    assert storage.write_once(s3, BUCKET, "k", "two") is False
    assert storage.read(s3, BUCKET, "k") == b"one"


@pytest.mark.parametrize(("answers", "written"), [([], True), (["PreconditionFailed"], False)])
def test_a_write_that_meets_another_one_is_tried_again(answers, written):
    s3 = played_by("s3", Contended("ConditionalRequestConflict", *answers))

    assert storage.write_once(s3, BUCKET, "k", "one") is written


def test_refuses_to_take_another_error_for_a_written_object():
    s3 = played_by("s3", Contended("AccessDenied"))

    with pytest.raises(ClientError, match="AccessDenied"):
        storage.write_once(s3, BUCKET, "k", "one")
