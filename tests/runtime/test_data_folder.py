"""The function that copies a data folder when its stack is deployed."""

import io
import json
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import pytest
from moto import mock_aws

from cdk_ml_release.runtime.data_folder import copy, handler

EVENT = {
    "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/abalone/1",
    "RequestId": "1",
    "LogicalResourceId": "RepoDataCopy",
    "ResourceProperties": {
        "SourceBucketNames": ["assets"],
        "SourceObjectKeys": ["rows.zip"],
        "DestinationBucketName": "home",
        "DestinationBucketKeyPrefix": "data/",
    },
}


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.mkdir("more")
        archive.writestr("rows.csv", "1,2\n")
        archive.writestr("more/rows.csv", "3,4\n")
    with mock_aws():
        client = boto3.client("s3")
        for bucket in ("assets", "home"):
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket="assets", Key="rows.zip", Body=content.getvalue())
        client.put_object(Bucket="home", Key="data/older.csv", Body=b"0,0\n")
        yield client


def objects(s3):
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="home").get("Contents", [])]
    return {key: s3.get_object(Bucket="home", Key=key)["Body"].read() for key in keys}


@contextmanager
def cloudformation():
    """Takes the one answer that a custom resource gives."""
    answers = []

    class Takes(BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Takes) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", answers


def test_every_file_lands_under_the_prefix_and_older_data_stays(s3):
    copy(s3, EVENT["ResourceProperties"])

    assert objects(s3) == {"data/rows.csv": b"1,2\n", "data/more/rows.csv": b"3,4\n", "data/older.csv": b"0,0\n"}


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_cloudformation_is_told_that_the_files_are_there(s3, request_type):
    with cloudformation() as (url, answers):
        handler({**EVENT, "RequestType": request_type, "ResponseURL": url}, None)

    ((content_type, answer),) = answers
    assert content_type == ""
    assert (answer["Status"], answer["RequestId"]) == ("SUCCESS", "1")
    assert "data/rows.csv" in objects(s3)


def test_the_resource_keeps_its_id_so_that_an_update_replaces_nothing(s3):
    with cloudformation() as (url, answers):
        handler({**EVENT, "RequestType": "Update", "PhysicalResourceId": "mine", "ResponseURL": url}, None)

    assert answers[0][1]["PhysicalResourceId"] == "mine"


def test_what_was_copied_stays_when_the_resource_leaves(s3):
    with cloudformation() as (url, answers):
        handler({**EVENT, "RequestType": "Delete", "ResponseURL": url}, None)

    assert answers[0][1]["Status"] == "SUCCESS"
    assert set(objects(s3)) == {"data/older.csv"}


def test_a_failure_is_told_with_its_reason_and_not_waited_for(s3):
    s3.delete_object(Bucket="assets", Key="rows.zip")

    with cloudformation() as (url, answers):
        handler({**EVENT, "RequestType": "Create", "ResponseURL": url}, None)

    assert answers[0][1]["Status"] == "FAILED"
    assert answers[0][1]["Reason"].startswith("NoSuchKey: ")
