"""One transform job: the container's real ``serve``, asked over HTTP for every batch of records."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import storage
from .batching import MEGABYTE, TooLarge, assemble, records, requests
from .gateway import ApiError
from .hours import now
from .instance import Instance, Served
from .job import Job
from .job_log import JobLog

_MOST_MEGABYTES = 100
# Source: ModelClientConfig in CreateTransformJob's reference.
_ANSWER_SECONDS, _RETRIES = 600, 3
_DEFAULT_MEGABYTES = 6


class _Refused(Exception):
    """A request that the container did not answer well: the lines that the data log has of it."""

    def __init__(self, *lines: str, fault: str) -> None:
        super().__init__(lines[0])
        self.lines = lines
        self.fault = fault
        """``ClientError`` or ``AlgorithmError``, as the job's reason begins."""


def check(request: Mapping[str, Any]) -> None:
    """Refuse what SageMaker refuses although it is well formed, and what the rehearsal cannot do.

    Raises:
        ApiError: saying which.
    """
    concurrent, megabytes = request.get("MaxConcurrentTransforms", 0), request.get("MaxPayloadInMB", _DEFAULT_MEGABYTES)
    if megabytes * max(concurrent, 1) > _MOST_MEGABYTES:
        raise ApiError(
            "ValidationException",
            f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {_MOST_MEGABYTES}: {concurrent} * {megabytes}",
        )
    given = request["TransformInput"]
    split, strategy = given.get("SplitType", "None"), request.get("BatchStrategy")
    if strategy is not None and split == "None":
        raise ApiError("ValidationException", f"BatchStrategy {strategy} needs a SplitType, got None")
    processing = {key: value for key, value in request.get("DataProcessing", {}).items() if value not in ("$", "None")}
    unknown = {
        "SplitType": split if split in ("RecordIO", "TFRecord") else "",
        "CompressionType": given.get("CompressionType", "None").replace("None", ""),
        "S3DataType": given["DataSource"]["S3DataSource"]["S3DataType"].replace("S3Prefix", ""),
        "DataProcessing": ", ".join(processing),
    }
    for name, value in unknown.items():
        if value:
            raise ApiError("NotImplemented", f"the rehearsal's transform jobs do not know {name} {value}", status=501)


@dataclass(kw_only=True)
class TransformJob(Job):
    """A transform job."""

    noun: str = "Transform"
    model: Mapping[str, Any]
    """The one container of the model: ``Image``, ``ModelDataUrl``, ``Environment``, ``ExecutionRoleArn``."""

    def _work(self) -> tuple[str, str]:
        started = time.monotonic()
        try:
            return self._transform()
        finally:
            self.process_seconds = time.monotonic() - started

    def _transform(self) -> tuple[str, str]:
        role = self.model["ExecutionRoleArn"]
        s3, logs = (self.place.gateway.client(service, role) for service in ("s3", "logs"))
        log = JobLog(logs, "/aws/sagemaker/TransformJobs", self.name)
        uri = self.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        keys = storage.keys(s3, uri)
        hosts = [f"i-{number:017x}" for number in range(1, self.request["TransformResources"]["InstanceCount"] + 1)]
        folders = {host: self.place.out / "jobs" / self.name / host for host in hosts}
        instances: dict[str, Instance] = {}
        try:
            for host, folder in folders.items():
                instances[host] = Instance(self.place, folder, self._container())
            deadline = time.monotonic() + self.place.startup_seconds
            for instance in instances.values():
                instance.await_health(deadline)
            faults = self._score(s3, keys, instances, log)
        finally:
            for instance in instances.values():
                instance.stop()
            for host, folder in folders.items():
                _copy(folder / "serve.log", log.writer(host))
            log.flush()
        if self.stopping.is_set():
            return "Stopped", ""
        return ("Failed", f"{faults[0]}: See job logs for more information") if faults else ("Completed", "")

    def _container(self) -> Mapping[str, Any]:
        # Source: SageMaker's guide, how containers serve requests of a batch.
        told = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self._megabytes)}
        if "BatchStrategy" in self.request:
            strategy = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}[self.request["BatchStrategy"]]
            told["SAGEMAKER_BATCH_STRATEGY"] = strategy
        if self.request.get("MaxConcurrentTransforms"):
            told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(self.request["MaxConcurrentTransforms"])
        environment = {**self.model["Environment"], **self.request.get("Environment", {}), **told}
        return {**self.model, "Environment": environment}

    @property
    def _megabytes(self) -> int:
        return int(self.request.get("MaxPayloadInMB", _DEFAULT_MEGABYTES))

    def _score(self, s3: Any, keys: list[str], instances: Mapping[str, Instance], log: JobLog) -> list[str]:
        """Score every object on one of the instances.

        Returns:
            For each object without results, whose fault it is.
        """
        faults: list[str] = []

        def share(number: int, host: str) -> None:
            instance, write = instances[host], log.writer(host, "/data-log")
            concurrent = self._concurrent(instance)
            strategy = {"SingleRecord": "SINGLE_RECORD"}.get(self.request.get("BatchStrategy", ""), "MULTI_RECORD")
            write(
                f"{_time()}:[sagemaker logs]: MaxConcurrentTransforms={concurrent}, "
                f"MaxPayloadInMB={self._megabytes}, BatchStrategy={strategy}"
            )
            with ThreadPoolExecutor(concurrent) as senders:
                for key in keys[number :: len(instances)]:
                    if self.stopping.is_set():
                        self.status = "Stopping"
                        return
                    fault = self._score_object(s3, key, instance, senders, write)
                    if fault:
                        faults.append(fault)
                    log.flush()

        with ThreadPoolExecutor(len(instances)) as pool:
            for done in [pool.submit(share, number, host) for number, host in enumerate(instances)]:
                done.result()
        return faults

    def _concurrent(self, instance: Instance) -> int:
        """How many requests the instance is sent at a time; where the job does not say, the container may."""
        asked = self.request.get("MaxConcurrentTransforms", 0)
        if asked:
            return int(asked)
        try:
            served = instance.get("/execution-parameters")
            return max(1, int(json.loads(served.body)["MaxConcurrentTransforms"])) if served.status == 200 else 1
        except (OSError, ValueError, KeyError, TypeError):
            return 1

    def _score_object(self, s3: Any, key: str, instance: Instance, senders: ThreadPoolExecutor, write: Any) -> str:
        """Score one object; it has results if every request was answered well.

        Returns:
            Whose fault it is that it has none; empty if it has.
        """
        given, output = self.request["TransformInput"], self.request["TransformOutput"]
        bucket, prefix = storage.split(given["DataSource"]["S3DataSource"]["S3Uri"])
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        found = records(content, given.get("SplitType", "None"))
        strategy = self.request.get("BatchStrategy", "MultiRecord")
        try:
            bodies = list(requests(found, strategy, self._megabytes * MEGABYTE))
            answers = list(senders.map(lambda body: self._ask(instance, body), bodies))
        except (TooLarge, _Refused) as refusal:
            lines = refusal.lines if isinstance(refusal, _Refused) else (str(refusal),)
            for line in lines:
                write(f"{_time()}:[sagemaker logs]: {bucket}/{key}: {line}")
            return refusal.fault if isinstance(refusal, _Refused) else "ClientError"
        target, folder = storage.split(output["S3OutputPath"].rstrip("/"))
        # From experience: what follows the input prefix is kept.
        name = key[prefix.rfind("/") + 1 :]
        result = assemble(answers, output.get("AssembleWith", "None"))
        s3.put_object(Bucket=target, Key=f"{folder}/{name}.out", Body=result)
        return ""

    def _ask(self, instance: Instance, body: bytes) -> bytes:
        config = self.request.get("ModelClientConfig", {})
        seconds = config.get("InvocationsTimeoutInSeconds", _ANSWER_SECONDS)
        headers = {
            "Content-Type": self.request["TransformInput"].get("ContentType"),
            "Accept": self.request["TransformOutput"].get("Accept"),
        }
        given = {name: value for name, value in headers.items() if value}
        served: Served | None = None
        # That a request which the container calls wrong is not sent again is a guess.
        for _ in range(config.get("InvocationsMaxRetries", _RETRIES) + 1):
            try:
                served = instance.answer(body, given, seconds)
            except OSError:
                continue
            if served.status < 500:
                break
        if served is None:
            raise _Refused("Unable to get response from algorithm", fault="AlgorithmError")
        if not 200 <= served.status < 300:
            status, said = served.status, served.body.decode(errors="replace").strip()
            fault = "ClientError" if status < 500 else "AlgorithmError"
            raise _Refused(f"Bad HTTP status received from algorithm: {status}", "", "Message:", said, fault=fault)
        return served.body


def _copy(path: Path, write: Any) -> None:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            write(line)


def _time() -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
