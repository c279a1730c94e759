"""A bucket with model versions, what they have captured, and a monitor that watches it."""

from __future__ import annotations

import base64
import json
import random
from datetime import UTC, datetime, timedelta

from cdk_ml_release.drift.__main__ import main
from cdk_ml_release.runtime import baseline, in_service
from cdk_ml_release.runtime.contract import Manifest, RunFolder
from cdk_ml_release.runtime.in_service import Record
from cdk_ml_release.runtime.monitor_settings import MonitorSettings
from cdk_ml_release.runtime.schema import Schema

BUCKET = "abalone-artifacts"
ENDPOINT = "abalone-production"
FIRST, SECOND = "11111111-0000-0000-0000-000000000001", "22222222-0000-0000-0000-000000000002"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SCHEDULED = "2026-03-01T10:20:00Z"
"""When the window from 9 to 10 is compared."""
SCHEMA = Schema(
    features={"sex": "category", "length": "number", "width": "number", "rings": "integer"},
    prediction="age",
    label="true_age",
)


def animals(count, seed, *, length=0.0, sexes="MFI", width=0.0):
    """Rows as the model is asked with them, of animals as many as wanted and as much longer or wider."""
    chance = random.Random(seed)
    return [
        [
            chance.choice(sexes),
            round(chance.gauss(5 + length, 1), 6),
            round(chance.gauss(3 + width, 0.5), 6),
            chance.randint(3, 20),
        ]
        for _ in range(count)
    ]


def age(row):
    """What the model predicts."""
    return round(row[3] + 1.5 + row[1] / 10, 6)


def csv(*rows):
    """Rows as the body of a request."""
    return "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows)


class Scene:
    """What lies in the bucket."""

    def __init__(self, client):
        self.client = client
        self.s3 = client("s3")
        self._number = 0

    # --- what is there before the monitor comes

    def released(self, execution=FIRST, version=1, *, rows=None, schema=SCHEMA, serving=True):
        """A model version was built and, unless said otherwise, released."""
        folder = RunFolder(bucket=BUCKET, execution_id=execution)
        rows = animals(800, f"baseline {version}") if rows is None else rows
        lines = [json.dumps({"input": csv(row), "prediction": age(row), "content_type": "text/csv"}) for row in rows]
        self.put(f"{folder.prefix}/evaluation/predictions.jsonl", "\n".join(lines))
        manifest = Manifest(
            execution_id=execution,
            model_name="abalone",
            model_package_arn=f"arn:aws:sagemaker:eu-central-1:111122223333:model-package/abalone/{version}",
            image_uri="image",
            model_data="model",
            commit="c0ffee",
            data_version="d474",
            evaluation_uri="",
            predictions_uri=folder.uri("evaluation/predictions.jsonl"),
            metrics={},
        )
        self.put(folder.manifest_key, manifest.to_json())
        if schema is not None:
            baseline.write(self.s3, folder, schema)
        if serving:
            in_service.write(self.s3, BUCKET, ENDPOINT, Record(manifest=manifest))
        return manifest

    def captured(self, bodies, *, execution=FIRST, at=START, endpoint=ENDPOINT, encoding="CSV", answers=None, ids=None):
        """Requests were answered, a second after each other.

        Args:
            bodies: Rows, each of them one request, or texts.
            execution: The run that built the version which answered.
            at: The time of the first one.
            endpoint: Which endpoint.
            encoding: How they are captured.
            answers: The answers, if they are not what the model predicts.
            ids: Inference ids of the client.
        """
        lines = []
        for number, given in enumerate(bodies):
            body = given if isinstance(given, str) else csv(given)
            answer = str(age(given)) if answers is None else answers[number]
            about = {"eventId": f"event-{self._number}", "inferenceTime": f"{at + timedelta(seconds=number):%FT%TZ}"}
            self._number += 1
            if ids is not None:
                about["inferenceId"] = ids[number]
            parts = {"endpointInput": body, "endpointOutput": answer}
            data = {part: self._part(part, text, encoding) for part, text in parts.items()}
            lines.append(json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"}))
        folder = f"capture/{execution}/{endpoint}/AllTraffic/{at:%Y/%m/%d/%H}"
        self.put(f"{folder}/{at:%M-%S}-{self._number}.jsonl", "\n".join(lines) + "\n")

    @staticmethod
    def _part(part, text, encoding):
        if encoding == "BASE64":
            text = base64.b64encode(text.encode()).decode()
        return {"observedContentType": "text/csv", "mode": part[8:].upper(), "data": text, "encoding": encoding}

    def put(self, key, text):
        """Store an object."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def delete(self, key):
        """Delete an object."""
        self.s3.delete_object(Bucket=BUCKET, Key=key)

    # --- the monitor, and what it leaves

    def run(self, *arguments, scheduled=SCHEDULED, **settings):
        """Run the monitor's program; returns its exit status."""
        environment = MonitorSettings(endpoint_name=ENDPOINT, bucket=BUCKET, **settings).to_environment()
        chosen = ["--scheduled", scheduled] if scheduled else []
        return main([*chosen, *arguments], environment, self.client)

    def names(self, prefix="monitoring/"):
        """The keys under a prefix."""
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]

    def read(self, key):
        """An object as a text."""
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def window(self, version=1, start="2026-03-01T09-00Z"):
        """What is stored of a version in a window."""
        return json.loads(self.read(f"monitoring/{ENDPOINT}/{start}/{version}/window.json"))

    def metrics(self):
        """The values of each metric that was published: by its name, and the value of its second dimension if any."""
        cloudwatch, found = self.client("cloudwatch"), {}
        now = datetime.now(UTC)
        for metric in cloudwatch.list_metrics(Namespace="CdkMlRelease/Monitor")["Metrics"]:
            statistics = cloudwatch.get_metric_statistics(
                Namespace=metric["Namespace"],
                MetricName=metric["MetricName"],
                Dimensions=metric["Dimensions"],
                StartTime=now - timedelta(hours=1),
                EndTime=now + timedelta(hours=1),
                Period=60,
                Statistics=["Maximum"],
            )
            more = [each["Value"] for each in metric["Dimensions"] if each["Name"] != "EndpointName"]
            name = ":".join([metric["MetricName"], *more])
            found[name] = max(point["Maximum"] for point in statistics["Datapoints"])
        return found
