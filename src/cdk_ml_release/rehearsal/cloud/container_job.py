"""One training or processing job: the container's real entry point, in a process of its own for every instance."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..containers.container import Container
from . import storage
from .job import LONGEST_REASON, Job, JobFailed
from .job_log import JobLog

_TICK_SECONDS = 0.05
_STOP_GRACE_SECONDS = 5.0


class ContainerJob(Job):
    """A training or processing job."""

    @property
    def artifacts_uri(self) -> str:
        """Where a training job leaves its model."""
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output/model.tar.gz"

    def _work(self) -> tuple[str, str]:
        image_uri = (
            self.request["AlgorithmSpecification"]["TrainingImage"]
            if self.noun == "Training"
            else self.request["AppSpecification"]["ImageUri"]
        )
        image = self.place.pull(image_uri, self.request["RoleArn"])
        hosts = [f"algo-{number}" for number in range(1, self._cluster()["InstanceCount"] + 1)]
        folders = {host: self.place.out / "jobs" / self.name / host for host in hosts}
        for host, folder in folders.items():
            self._furnish(folder, host, hosts)
        logs = self.place.gateway.client("logs", self.request["RoleArn"])
        log = JobLog(logs, f"/aws/sagemaker/{self.noun}Jobs", self.name)
        started = time.monotonic()
        containers = [
            Container.start(
                image,
                self._arguments(),
                opt_ml=folder,
                environment=self._environment(),
                log=log.writer(host),
                entrypoint=self.request.get("AppSpecification", {}).get("ContainerEntrypoint"),
            )
            for host, folder in folders.items()
        ]
        self.place.containers.extend(containers)
        limit = self.request["StoppingCondition"]["MaxRuntimeInSeconds"]
        try:
            ended = self._wait(containers, started + limit, log)
        finally:
            for container in containers:
                container.stop(_STOP_GRACE_SECONDS)
            self.process_seconds = time.monotonic() - started
            log.flush()
        self._read_message(folders[hosts[0]])
        if ended is None:
            return "Stopped", ""
        self._check_exit(ended, folders)
        self._deliver(folders)
        return "Completed", ""

    def _wait(self, containers: Sequence[Container], deadline: float, log: JobLog) -> list[int] | None:
        """The exit codes, or None if the job was stopped."""
        while True:
            codes = [container.poll() for container in containers]
            log.flush()
            if all(code is not None for code in codes) or any(code for code in codes):
                return [
                    container.wait() if code == 0 else code or 0
                    for container, code in zip(containers, codes, strict=True)
                ]
            if time.monotonic() > deadline or self.stopping.is_set():
                self.status = "Stopping"
                return None
            time.sleep(_TICK_SECONDS)

    def _cluster(self) -> Mapping[str, Any]:
        cluster: Mapping[str, Any] = (
            self.request["ResourceConfig"]
            if self.noun == "Training"
            else self.request["ProcessingResources"]["ClusterConfig"]
        )
        return cluster

    def _arguments(self) -> list[str]:
        if self.noun == "Training":
            return ["train"]
        return list(self.request["AppSpecification"].get("ContainerArguments", ()))

    def _environment(self) -> dict[str, str]:
        gateway = self.place.gateway
        credentials = gateway.credentials(self.request["RoleArn"], self.name)
        isolated = self.request.get("NetworkConfig", self.request).get("EnableNetworkIsolation", False)
        # SageMaker lets a container fetch the credentials of its job's role; here they come as variables.
        may_call = {} if isolated else credentials.environment(gateway.endpoint, gateway.region)
        return {
            **may_call,
            **self.request.get("Environment", {}),
            f"{self.noun.upper()}_JOB_NAME": self.name,
            f"{self.noun.upper()}_JOB_ARN": self.arn,
        }

    def _furnish(self, folder: Path, host: str, hosts: list[str]) -> None:
        """Lay out ``/opt/ml`` as the container contract has it."""
        s3 = self.place.gateway.client("s3", self.request["RoleArn"])
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
        if self.noun == "Training":
            config = folder / "input" / "config"
            for made in (config, folder / "model", folder / "output" / "data"):
                made.mkdir(parents=True, exist_ok=True)
            channels = self.request.get("InputDataConfig", ())
            _write_json(config / "hyperparameters.json", self.request.get("HyperParameters", {}))
            _write_json(config / "resourceconfig.json", resources)
            _write_json(config / "inputdataconfig.json", {each["ChannelName"]: _channel(each) for each in channels})
            for each in channels:
                uri = each["DataSource"]["S3DataSource"]["S3Uri"]
                storage.download(s3, uri, folder / "input" / "data" / each["ChannelName"])
            return
        config = folder / "config"
        for made in (config, folder / "output"):
            made.mkdir(parents=True, exist_ok=True)
        _write_json(config / "processingjobconfig.json", {f"{self.noun}JobArn": self.arn, **self.request})
        _write_json(config / "resourceconfig.json", resources)
        for each in self.request.get("ProcessingInputs", ()):
            storage.download(s3, each["S3Input"]["S3Uri"], _inside(folder, each["S3Input"]["LocalPath"]))
        for each in self._outputs():
            _inside(folder, each["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def _outputs(self) -> Sequence[Mapping[str, Any]]:
        outputs: Sequence[Mapping[str, Any]] = self.request.get("ProcessingOutputConfig", {}).get("Outputs", ())
        return outputs

    def _read_message(self, folder: Path) -> None:
        message = folder / "output" / "message"
        if self.noun == "Processing" and message.is_file():
            self.exit_message = message.read_bytes()[:LONGEST_REASON].decode(errors="replace").strip()

    def _check_exit(self, codes: Sequence[int], folders: Mapping[str, Path]) -> None:
        bad = [code for code in codes if code]
        if not bad:
            return
        reason = "See job logs for more information"
        for folder in folders.values():
            failure = folder / "output" / "failure"
            if self.noun == "Training" and failure.is_file() and failure.read_text(errors="replace").strip():
                reason = failure.read_text(errors="replace").strip()
        raise JobFailed(f"AlgorithmError: {reason}, exit code: {bad[0]}")

    def _deliver(self, folders: Mapping[str, Path]) -> None:
        s3 = self.place.gateway.client("s3", self.request["RoleArn"])
        if self.noun == "Processing":
            for folder in folders.values():
                for each in self._outputs():
                    storage.upload(s3, _inside(folder, each["S3Output"]["LocalPath"]), each["S3Output"]["S3Uri"])
            return
        archive = self.place.out / "jobs" / self.name / "output"
        archive.mkdir(parents=True, exist_ok=True)
        _archive([folder / "model" for folder in folders.values()], archive / "model.tar.gz")
        if any((folder / "output" / "data").iterdir() for folder in folders.values()):
            _archive([folder / "output" / "data" for folder in folders.values()], archive / "output.tar.gz")
        storage.upload(s3, archive, self.artifacts_uri.rpartition("/")[0])


def _inside(folder: Path, container_path: str) -> Path:
    return folder / container_path.removeprefix("/opt/ml/")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")


def _channel(channel: Mapping[str, Any]) -> dict[str, str]:
    return {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }


def _archive(folders: Sequence[Path], target: Path) -> None:
    with tarfile.open(target, "w:gz") as archive:
        for folder in folders:
            for path in sorted(folder.iterdir()):
                archive.add(path, arcname=path.name)
