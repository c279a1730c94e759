"""Reports as rehearsals write them: small ones to begin with, and the whole loop from release to drift to release."""

from __future__ import annotations

import json
from typing import Any

GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone"
ENDPOINT = "abalone-production"
PIPELINE = "abalone-Pipeline8E4BFAC9-1fdf6ce8a952"
FEATURES = ["sex", "length", "diameter", "height", "whole_weight", "shucked_weight", "viscera_weight", "shell_weight"]
BIGGER = ["length", "diameter", "height", "whole_weight", "shucked_weight", "shell_weight"]
RULE = "regression_metrics.rmse"
ALARM = f"{ENDPOINT}-drift"


def nothing() -> dict[str, Any]:
    """A rehearsal that could not begin."""
    return {
        "status": "Failed",
        "reason": "stack 'abalone': the rehearsal does not know the resource type of 'Fleet' (AWS::GameLift::Fleet)",
        "pipeline": "",
        "seconds": 12.4,
        "job_seconds": 0,
        **{name: [] for name in ("executions", "jobs", "gates", "versions", "endpoints", "releases", "traffic")},
        **{name: [] for name in ("sent", "windows", "predictions", "log")},
        "metrics": {},
        "cost": {"refused": "'assembly' must be a cloud assembly"},
    }


def arn(version: int, group: str = GROUP) -> str:
    return f"{group}/{version}"


def action(name: str, at: float, seconds: float, status: str = "Succeeded", **more: str) -> dict[str, Any]:
    run = {"name": name, "provider": "CodeBuild", "status": status, "seconds": seconds, "message": "", "at": at}
    return run | more


def stage(name: str, *actions: dict[str, Any], status: str = "Succeeded", message: str = "") -> dict[str, Any]:
    return {"name": name, "status": status, "actions": list(actions), "message": message}


def execution(at: float, number: int, trigger: str, message: str, **more: Any) -> dict[str, Any]:
    """One that goes through: 27 seconds."""
    return {
        "id": f"{number}0e1f2a3-0000-4000-8000-000000000000",
        "pipeline": PIPELINE,
        "trigger": trigger,
        "status": "Succeeded",
        "at": at,
        "seconds": 27.0,
        "stages": [
            stage("Source", action("Source", 0.0, 0.1, provider="CodeCommit", message="4a8eaf14")),
            stage(
                "Build",
                action("Container", 0.1, 2.1),
                action("Preprocess", 2.2, 3.4),
                action("Train", 5.6, 6.3),
                action("Evaluate", 11.9, 4.1),
            ),
            stage(
                "Promote", action("Choose", 16.0, 1.0), action("Approve", 17.0, 0.0, provider="Manual", message=message)
            ),
            stage("Production", action("Prepare", 17.1, 1.1), action("Deploy", 18.2, 6.4), action("Verify", 24.6, 2.4)),
        ],
        "not_reached": [],
        **more,
    }


def requests(failed: int = 0, **by_version: int) -> dict[str, Any]:
    counts = {arn(int(name.removeprefix("v"))): number for name, number in by_version.items() if number}
    return {"total": sum(counts.values()), "failed": failed, "by_version": counts}


def second(at: int, failed: int = 0, **by_version: int) -> dict[str, Any]:
    return {"at": at, **requests(failed, **by_version)}


def first_release(at: float, until: int) -> dict[str, Any]:
    """Version 1 is created, and asked 20 times a second from its third second on."""
    return {
        "endpoint": ENDPOINT,
        "from": None,
        "to": arn(1),
        "policy": "first creation",
        "outcome": "Succeeded",
        "requests": requests(v1=20 * (until - 3)),
        "steps": [
            {"at": 0.0, "share": 0.0, "version": arn(1), "requests": requests()},
            {"at": 3.0, "share": 1.0, "version": arn(1), "requests": requests(v1=20 * (until - 3))},
        ],
        "seconds": [second(each, v1=20) for each in range(3, until)],
        "at": at,
    }


def canary(at: float, until: int, failed: int = 0, **more: Any) -> dict[str, Any]:
    """Version 2 takes over from version 1: half of the requests after two seconds, all of them after four."""
    seconds = [second(each, v1=20) for each in (0, 1)] + [second(each, failed, v1=11, v2=9) for each in (2, 3)]
    return {
        "endpoint": ENDPOINT,
        "from": arn(1),
        "to": arn(2),
        "policy": "canary 50 %, bake 10 min, old fleet kept 10 min",
        "outcome": "Succeeded",
        "requests": requests(2 * failed, v1=62, v2=18 + 20 * (until - 4)),
        "steps": [
            {"at": 0.0, "share": 0.0, "version": arn(2), "requests": requests(v1=40)},
            {"at": 2.0, "share": 0.5, "version": arn(2), "requests": requests(2 * failed, v1=22, v2=18)},
            {"at": 4.0, "share": 1.0, "version": arn(2), "requests": requests(v2=20 * (until - 4))},
        ],
        "seconds": [*seconds, *(second(each, v2=20) for each in range(4, until))],
        "at": at,
        **more,
    }


def drift(score: float, threshold: float = 0.1, method: str = "wasserstein") -> dict[str, Any]:
    return {"method": method, "score": score, "threshold": threshold, "drifted": score >= threshold}


def window(hour: int, version: int, records: int, scores: dict[str, float], **more: Any) -> dict[str, Any]:
    """A window that was compared; a score of 0.1 or more has drifted."""
    features = {
        name: drift(scores[name], method="jensenshannon" if name == "sex" else "wasserstein") for name in FEATURES
    }
    drifted = [name for name, result in features.items() if result["drifted"]]
    return {
        "endpoint": ENDPOINT,
        "start": f"2026-11-28T{hour:02}:00:00+00:00",
        "end": f"2026-11-28T{hour + 1:02}:00:00+00:00",
        "status": "Compared",
        "model_package_arn": arn(version),
        "execution_id": f"{version}0e1f2a3-0000-4000-8000-000000000000",
        "records": records,
        "unfit": 0,
        "misfits": [],
        "drifted": drifted,
        "drift_share": len(drifted) / len(features),
        "features": features,
        "prediction": drift(0.31 if drifted else 0.04),
        "violations": [],
        "quality": {},
        "labels": {"joined": 0, "duplicates": 0, "unknown": 0},
        "sampled_from": None,
        "report": f"windows/{ENDPOINT}/2026-11-28T{hour:02}-00Z-version-{version}.html",
        "alarms": [],
        **more,
    }


def entry(time: str, seconds: float, kind: str, text: str) -> dict[str, Any]:
    return {"time": f"2026-11-28T{time}Z", "seconds": seconds, "kind": kind, "text": text}


def calm() -> dict[str, float]:
    return dict(zip(FEATURES, (0.03, 0.05, 0.04, 0.07, 0.06, 0.05, 0.08, 0.04), strict=True))


def season() -> dict[str, float]:
    """The animals are bigger."""
    return calm() | dict(zip(BIGGER, (0.52, 0.49, 0.18, 0.61, 0.55, 0.47), strict=True)) | {"viscera_weight": 0.09}


COST = {
    "regions": ["us-east-1"],
    "region_assumed": True,
    "assumptions": {"releases": 4},
    "standing": {
        "lines": [
            {
                "where": "abalone",
                "item": "2 x AWS::S3::Bucket with 10 GB",
                "usd": 0.46,
                "most_usd": None,
                "unknown": "",
            },
            {"where": ENDPOINT, "item": "2 x ml.m5.large, 730 hours", "usd": 167.9, "most_usd": 335.8, "unknown": ""},
            {"where": ENDPOINT, "item": "a key", "usd": None, "most_usd": None, "unknown": "no price is known"},
        ],
        "total": {"usd": 168.36, "most_usd": 336.26, "unknown": 1},
    },
    "requests": {"lines": [], "total": {"usd": 0, "most_usd": 0, "unknown": 0}},
    "releases": [
        {
            "pipeline": "abalone / Pipeline8E4BFAC9",
            "lines": [
                {"where": "Build / Train", "item": "training, 10 min", "usd": 0.0192, "most_usd": None, "unknown": ""}
            ],
            "total": {"usd": 0.5433, "most_usd": 0.5433, "unknown": 0},
            "waiting_minutes": 30,
            "waiting": {"usd": 0.21, "most_usd": 0.21, "unknown": 0},
        }
    ],
    "month": {"usd": 170.53, "most_usd": 338.43, "unknown": 1},
    "paid_by_use": {},
    "free": {},
}


def single() -> dict[str, Any]:
    """One release, and nothing else."""
    job = {"name": "abalone-train-10e1f2a30000", "kind": "training job", "status": "Completed", "seconds": 4.9}
    version = {"version": 1, "model_package_arn": arn(1), "metrics": {RULE: 2.039}}
    message = "abalone from commit 4a8eaf14: regression_metrics.rmse 2.039 (gate: at most 2.5); no model in service yet"
    first = execution(1.5, 1, "CreatePipeline", message)
    release = first_release(20.0, 9)
    return nothing() | {
        "status": "Succeeded",
        "reason": "",
        "pipeline": PIPELINE,
        "seconds": 34.2,
        "job_seconds": 9.6,
        "executions": [first],
        "jobs": [job, job | {"name": "abalone-evaluate-10e1f2a30000", "kind": "processing job", "seconds": 2.4}],
        "metrics": {RULE: 2.039},
        "gates": [{"metric": RULE, "comparison": "at_most", "rule": "at most 2.5"}],
        "versions": [version | {"execution_id": first["id"]}],
        "endpoints": [
            {"name": ENDPOINT, "status": "InService", "config": f"{ENDPOINT}-10e1f2a3", "model_package_arn": arn(1)}
        ],
        "releases": [release | {"requests": requests(v1=4), "steps": [], "seconds": [second(6, v1=4)]}],
        "predictions": [{"endpoint": ENDPOINT, "input": "M,0.455,0.365,0.095,0.514", "output": "11.03"}],
        "cost": COST,
    }


def loop() -> dict[str, Any]:
    """Release 1, two calm windows, a season of bigger animals, an alarm, release 2 by canary, a calm window."""
    by_alarm = f"alarm {ALARM}: 6 of 8 features have drifted"
    better = (
        "abalone from commit 4a8eaf14: regression_metrics.rmse 1.874 (gate: at most 2.5; change \N{MINUS SIGN}0.165)"
    )
    one = single()
    second_one = execution(52.0, 2, by_alarm, better)
    versions = [
        one["versions"][0],
        {"version": 2, "model_package_arn": arn(2), "execution_id": second_one["id"], "metrics": {RULE: 1.874}},
    ]
    total = 20 * 46 + 62 + 18 + 20 * 22
    return one | {
        "seconds": 104.8,
        "executions": [*one["executions"], second_one],
        "metrics": {RULE: 1.874},
        "gates": [
            *one["gates"],
            {"metric": RULE, "comparison": "at_most", "rule": "at most 0.3 worse than in service"},
        ],
        "versions": versions,
        "endpoints": [one["endpoints"][0] | {"config": f"{ENDPOINT}-20e1f2a3", "model_package_arn": arn(2)}],
        "releases": [first_release(20.0, 49), canary(70.2, 26)],
        "traffic": [{"endpoint": ENDPOINT, "requests_per_second": 20.0, "total": total, "failed": 0, "failures": {}}],
        "windows": [
            window(5, 1, 320, calm() | {"height": 0.09}),
            window(6, 1, 408, calm()),
            window(7, 1, 391, season(), alarms=[ALARM]),
            window(8, 2, 402, calm() | {"sex": 0.02}),
        ],
        "log": [
            entry("05:04:11", 1.5, "execution", f"{PIPELINE} execution 10e1f2a3, started by CreatePipeline"),
            entry("05:04:38", 28.5, "execution", f"{PIPELINE} execution 10e1f2a3 Succeeded after 27.0 s"),
            entry("05:04:38", 28.6, "event", "requests like the data that the model was trained on"),
            entry("06:00:01", 35.0, "window", "05:00 to 06:00: 0 of 8 features drifted"),
            entry("07:00:01", 41.2, "window", "06:00 to 07:00: 0 of 8 features drifted"),
            entry("07:00:02", 42.0, "event", "a season in which the animals are bigger"),
            entry("07:04:00", 48.0, "sent", "sent bigger.csv to abalone-production: 391 requests, 0 failed"),
            entry("08:00:01", 50.9, "window", "07:00 to 08:00: 6 of 8 features drifted"),
            entry("08:00:02", 51.4, "alarm", f"alarm {ALARM} is ALARM: 0.75 is over 0.3"),
            entry("08:00:03", 52.0, "execution", f"{PIPELINE} execution 20e1f2a3, started by {by_alarm}"),
            entry("08:00:30", 79.0, "execution", f"{PIPELINE} execution 20e1f2a3 Succeeded after 27.0 s"),
            entry("09:00:01", 90.3, "window", "08:00 to 09:00: 0 of 8 features drifted"),
        ],
    }


def failed() -> dict[str, Any]:
    """The second version does not pass its gate; the first one stays."""
    one = single()
    reason = "the model does not pass its gates: regression_metrics.rmse.value is 3.1, the gate is at most 2.5"
    stopped = execution(30.0, 2, "push to abalone-cicd-pipeline", "")
    build = stopped["stages"][1]
    build["actions"][-1] |= {"status": "Failed", "message": reason}
    build["status"] = "Failed"
    return one | {
        "status": "Failed",
        "reason": f"Build / Evaluate: {reason}",
        "executions": [
            *one["executions"],
            stopped
            | {
                "status": "Failed",
                "seconds": 16.0,
                "stages": stopped["stages"][:2],
                "not_reached": ["Promote", "Production"],
            },
        ],
    }


def renamed(content: dict[str, Any], **names: str) -> dict[str, Any]:
    """The same story with other names."""
    text = json.dumps(content)
    for name, other in names.items():
        text = text.replace(name, other)
    found: dict[str, Any] = json.loads(text)
    return found


def two_pipelines() -> dict[str, Any]:
    """Two models side by side, each with its pipeline."""
    one, other = single(), renamed(single(), abalone="oyster", **{"0e1f2a3": "9d8c7b6"})
    both = ("executions", "jobs", "versions", "endpoints", "releases", "predictions")
    joined = {name: [*one[name], *other[name]] for name in both}
    return one | joined | {"pipeline": f"{one['pipeline']}, {other['pipeline']}"}
