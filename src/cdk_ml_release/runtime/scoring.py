"""Score the objects of a batch, and narrow down which of their records the model refuses.

SageMaker leaves no ``.out`` for an input object that holds a record which the container refuses, marks the job Failed
and goes on with the other objects (source: TransformOutput in CreateTransformJob's reference). So the objects without
an ``.out`` are cut into pieces, which a further job scores; those of them that fail are cut again, until what fails is
a single record. That takes a few jobs for a few bad records, whatever the size of the objects, and needs nothing of
the container. The answers to the pieces are put together to the object's ``.out``, and the records that were refused
are written to the failure prefix, one object for each input object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import storage
from .batch_settings import BatchSettings, batch_prefix
from .contract import StageFailed
from .records import Piece, Refusal, assemble
from .transform import TRANSFORM, Transforms

# Objects of a narrowing job, unless more than half as many pieces have failed: those are cut in two at least.
_PIECES = 500
# A build of the smallest size has 4 GB of memory, and holds an object several times.
_LARGEST_OBJECT = 256 * 1024 * 1024

Failing = tuple[Piece, str]
"""A piece that a job has not answered, and where the job has read it: ``<bucket>/<key>``."""


@dataclass(kw_only=True)
class Scoring:
    """The scoring of one batch, with what has come of it so far."""

    s3: Any
    settings: BatchSettings
    execution_id: str
    transforms: Transforms
    refused: list[Refusal] = field(default_factory=list)
    answered: int = 0
    """Input objects and pieces that were scored."""

    def uri(self, path: str) -> str:
        """The S3 URI of something that this batch makes."""
        return f"s3://{self.settings.bucket}/{self._key(path)}"

    def _key(self, path: str) -> str:
        return f"{batch_prefix(self.settings.batch_name, self.execution_id)}{path}"

    def run(self, version: str, *, by_line: bool) -> None:
        """Score the input and narrow down what fails.

        Args:
            version: Identifies the contents of the input.
            by_line: Whether the lines of an object are its records.

        Raises:
            StageFailed: if nothing could be scored, or more was refused than is allowed.
        """
        bucket, prefix = storage.split(self.settings.input_uri)
        objects = {entry["Key"].removeprefix(prefix): entry["Size"] for entry in storage.keys(self.s3, bucket, prefix)}
        job = self._transform(self.settings.input_uri, "output", version)
        failing = [] if TRANSFORM.status(job) == "Completed" else self._unanswered(objects, job)
        self.answered += len(objects) - len(failing)
        if failing:
            print(f"{len(failing)} of {len(objects)} objects have no results, for they hold records that were refused")
            self._check_count(len(failing), job)
            places = {path: f"{bucket}/{prefix}{path}" for path in failing}
            if by_line and (self.answered or self._about_records(job)):
                self._narrow(places, objects, job)
            elif not by_line:
                self._refuse_objects(places, job)
        if not self.answered:
            raise StageFailed(f"no record under {self.settings.input_uri} could be scored: {self._why(job)}")
        summary = {"input": self.settings.input_uri, "objects": len(objects), "failed_records": len(self.refused)}
        self._put("result.json", json.dumps(summary).encode())

    def _about_records(self, job: Mapping[str, Any]) -> bool:
        """Whether a job that has answered nothing failed because of records, and not before it came to them."""
        # That SageMaker gives no other reason then is from experience; the data log tells the same.
        return "job logs" in _reason(job) or bool(self.transforms.reasons(job["TransformJobName"]))

    def _transform(self, input_uri: str, output: str, version: str) -> dict[str, Any]:
        # What is refused in the end leaves no results in a job, but in the failure prefix.
        folders = (output, "failed") if output == "output" else (output,)
        return self.transforms.run(
            input_uri,
            self.uri(output),
            version,
            lambda job: any(self._results(folder, job) for folder in folders),
        )

    def _results(self, folder: str, job: Mapping[str, Any]) -> set[str]:
        """What lies in a folder since a job was created; an earlier one has left results of other inputs."""
        prefix = self._key(f"{folder}/")
        # S3 tells times to the second.
        since = job["CreationTime"].replace(microsecond=0)
        return {
            entry["Key"].removeprefix(prefix)
            for entry in storage.keys(self.s3, self.settings.bucket, prefix)
            if entry["LastModified"] >= since
        }

    def _unanswered(self, objects: Mapping[str, int], job: Mapping[str, Any]) -> list[str]:
        """The objects without results, and those whose results an earlier try of this stage has put together."""
        answered, narrowed = self._results("output", job), self._results("failed", job)
        # Results mirror the keys below the prefix (from experience; the reference's example names one more folder).
        # Were it otherwise, the objects would be narrowed down, with the same results after a further job.
        return [path for path in objects if f"{path}.out" not in answered or f"{path}.jsonl" in narrowed]

    def _narrow(self, places: Mapping[str, str], sizes: Mapping[str, int], job: dict[str, Any]) -> None:
        answers: dict[str, list[tuple[Piece, bytes | None]]] = {path: [] for path in places}
        failing: list[Failing] = [(self._fetch(path, sizes[path]), place) for path, place in places.items()]
        level = 0
        while failing:
            reasons = self.transforms.reasons(job["TransformJobName"])
            for piece, place in failing:
                if len(piece.records) == 1:
                    answers[piece.path].append((piece, None))
                    self._refuse(piece.path, piece.first, piece.records[0], reasons.get(place, _reason(job)))
            cut = [piece for piece, _ in failing if len(piece.records) > 1]
            self._check_count(len(self.refused) + len(cut), job)
            failing = []
            if cut:
                level += 1
                job, failing = self._score_pieces(level, cut, answers)
        self._write_refusals()
        for path, parts in answers.items():
            if any(answer is not None for _, answer in parts):
                self._put(f"output/{path}.out", assemble(parts))

    def _fetch(self, path: str, size: int) -> Piece:
        if size > _LARGEST_OBJECT:
            raise StageFailed(
                f"the object {path} holds records that were refused, and with {size} bytes it is too large to find "
                f"them: cut it into objects of at most {_LARGEST_OBJECT} bytes; all others are scored"
            )
        bucket, prefix = storage.split(self.settings.input_uri)
        return Piece.whole(path, storage.read(self.s3, bucket, f"{prefix}{path}") or b"")

    def _score_pieces(
        self, level: int, cut: Sequence[Piece], answers: Mapping[str, list[tuple[Piece, bytes | None]]]
    ) -> tuple[dict[str, Any], list[Failing]]:
        """Score what has failed in smaller pieces.

        Returns:
            The job, and the pieces that failed again.
        """
        pieces = [part for piece in cut for part in piece.split(max(2, _PIECES // len(cut)))]
        folder = f"narrowing/{level}"
        content = hashlib.sha256()
        for number, piece in enumerate(pieces):
            self._put(f"{folder}/in/{number:05}", piece.content)
            content.update(hashlib.sha256(piece.content).digest())
        print(f"looking for the records that were refused: {len(pieces)} pieces of {len(cut)}")
        job = self._transform(self.uri(f"{folder}/in/"), f"{folder}/out", content.hexdigest())
        completed, done = TRANSFORM.status(job) == "Completed", self._results(f"{folder}/out", job)
        failing: list[Failing] = []
        for number, piece in enumerate(pieces):
            if completed or f"{number:05}.out" in done:
                answer = storage.read(self.s3, self.settings.bucket, self._key(f"{folder}/out/{number:05}.out"))
                answers[piece.path].append((piece, answer or b""))
                self.answered += 1
            else:
                failing.append((piece, f"{self.settings.bucket}/{self._key(f'{folder}/in/{number:05}')}"))
        return job, failing

    def _refuse_objects(self, places: Mapping[str, str], job: Mapping[str, Any]) -> None:
        reasons = self.transforms.reasons(job["TransformJobName"])
        for path, place in places.items():
            self._refuse(path, 1, b"", reasons.get(place, _reason(job)))
        self._write_refusals()

    def _refuse(self, path: str, number: int, content: bytes, reason: str) -> None:
        refusal = Refusal(path=path, number=number, content=content.decode(errors="replace"), reason=reason)
        print(f"refused: {refusal}")
        self.refused.append(refusal)

    def _write_refusals(self) -> None:
        # Before the results: a retry knows by them which results were put together.
        for path in dict.fromkeys(each.path for each in self.refused):
            mine = sorted((each for each in self.refused if each.path == path), key=lambda each: each.number)
            self._put(f"failed/{path}.jsonl", "".join(f"{each.line}\n" for each in mine).encode())

    def _check_count(self, refused: int, job: Mapping[str, Any]) -> None:
        if refused > self.settings.max_failed_records:
            raise StageFailed(
                f"at least {refused} records were refused, {self.settings.max_failed_records} are allowed: "
                f"{self._why(job)}; mend the input or the model, or raise 'max_failed_records'"
            )

    def _why(self, job: Mapping[str, Any]) -> str:
        """The first refusal, or what SageMaker says of the job."""
        return str(self.refused[0]) if self.refused else _reason(job)

    def _put(self, path: str, content: bytes) -> None:
        self.s3.put_object(Bucket=self.settings.bucket, Key=self._key(path), Body=content)


def _reason(job: Mapping[str, Any]) -> str:
    return str(job.get("FailureReason", "no reason given"))
