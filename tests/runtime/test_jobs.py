"""One SageMaker job, and the retries of its stage."""

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime import jobs
from cdk_ml_release.runtime.contract import StageFailed, fill

from .fakes import AT_ONCE, FakeJob, FakeLogs, FakeSageMaker, Refused, played_by, took
from .samples import DOCUMENTS, EXECUTION, VALUES

FIRST, SECOND = "abalone-train-4c0f6c1e9a57", "abalone-train-4c0f6c1e9a57-2"
KINDS = {"preprocess": jobs.PROCESSING, "train": jobs.TRAINING, "evaluate": jobs.PROCESSING}


def run(fake, task="train", data_version="d1", logs=None, **values):
    """Run a task as the build does."""
    return jobs.run(
        KINDS[task],
        DOCUMENTS[task],
        VALUES | values,
        model_name="abalone",
        task=task,
        data_version=data_version,
        sagemaker=played_by("sagemaker", fake),
        logs=played_by("logs", logs or FakeLogs()),
        pace=AT_ONCE,
    )


def failed(script, task="train"):
    """The reason with which a job's end fails the stage."""
    with pytest.raises(StageFailed) as caught:
        run(FakeSageMaker([script]), task)
    return str(caught.value)


@pytest.mark.parametrize("task", DOCUMENTS)
def test_a_job_is_started_waited_for_and_described(task):
    fake = FakeSageMaker([["InProgress", "InProgress", "Completed"]])

    job = run(fake, task)

    assert list(fake.jobs) == [f"abalone-{task}-4c0f6c1e9a57"]
    assert job[f"{KINDS[task].noun}JobStatus"] == "Completed"


def test_a_started_job_knows_its_execution_and_inputs_and_keeps_the_users_own_text():
    fake = FakeSageMaker()

    run(fake)

    environment = fake.jobs[FIRST].request["Environment"]
    assert environment["ML_EXECUTION_ID"] == EXECUTION
    assert len(environment["ML_INPUTS"]) == 64
    assert environment["OWN"] == "${stays}"


def test_a_job_that_completed_with_the_same_inputs_is_used_again(capsys):
    fake = FakeSageMaker()
    run(fake)

    job = run(fake)

    assert list(fake.jobs) == [FIRST]
    assert job["TrainingJobName"] == FIRST
    assert f"train: job {FIRST} has Completed with the same inputs, using its results" in capsys.readouterr().out


def test_a_job_in_progress_is_waited_for(capsys):
    fake = FakeSageMaker()
    run(fake)
    fake.jobs[FIRST].script = ["InProgress", "InProgress", "Completed"]

    run(fake)

    assert list(fake.jobs) == [FIRST]
    assert f"train: job {FIRST} is in progress, waiting for it" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["Failed", "Stopped"])
def test_a_job_that_did_not_complete_is_followed_by_the_next_attempt(capsys, end):
    fake = FakeSageMaker([["InProgress", end]])
    with pytest.raises(StageFailed):
        run(fake)

    job = run(fake)

    assert job["TrainingJobName"] == SECOND
    assert f"train: job {FIRST} is {end}, starting the next attempt" in capsys.readouterr().out


def test_a_job_with_other_inputs_is_followed_by_the_next_attempt(capsys):
    fake = FakeSageMaker()
    run(fake, data_version="d1")

    job = run(fake, data_version="d2")

    assert job["TrainingJobName"] == SECOND
    assert f"train: job {FIRST} had other inputs, starting the next attempt" in capsys.readouterr().out


def test_results_that_a_later_attempt_has_overwritten_are_not_used_again():
    fake = FakeSageMaker()
    run(fake, "evaluate", data_version="d1")
    run(fake, "evaluate", data_version="d2")

    run(fake, "evaluate", data_version="d1")

    assert len(fake.jobs) == 3


def test_another_image_or_another_model_is_another_input():
    fake = FakeSageMaker()
    run(fake)
    run(fake, ImageUri=VALUES["ImageUri"].replace("0", "1"))

    assert list(fake.jobs) == [FIRST, SECOND]


@pytest.mark.parametrize(("status", "data_version"), [("Stopping", "d1"), ("InProgress", "d2"), ("Stopping", "d2")])
def test_the_next_attempt_waits_for_the_end_of_one_that_still_writes_to_the_runs_folder(status, data_version):
    fake = FakeSageMaker()
    run(fake, data_version="d1")
    running = fake.jobs[FIRST].script = [status] * 4 + ["Stopped"]

    job = run(fake, data_version=data_version)

    assert job["TrainingJobName"] == SECOND
    assert running == ["Stopped"]


def test_a_job_that_completed_before_it_could_be_stopped_is_used_again():
    fake = FakeSageMaker()
    run(fake)
    fake.jobs[FIRST].script = ["Stopping", "Completed"]

    job = run(fake)

    assert list(fake.jobs) == [FIRST]
    assert job["TrainingJobStatus"] == "Completed"


def test_refuses_a_name_that_a_job_of_another_execution_has():
    fake = FakeSageMaker()
    run(fake)

    with pytest.raises(StageFailed, match=f"job name '{FIRST}' is taken by a job of another execution: start a new"):
        run(fake, ExecutionId=EXECUTION.replace("59", "60"))


def test_refuses_a_name_that_a_job_without_our_mark_has():
    foreign = fill({**DOCUMENTS["train"], "Environment": {}}, VALUES)
    fake = FakeSageMaker(jobs={FIRST: FakeJob("Training", foreign, ["Completed"])})

    with pytest.raises(StageFailed, match="is taken by a job of another execution"):
        run(fake)


def test_a_creation_whose_answer_was_lost_is_taken_up():
    fake = FakeSageMaker(loses_answers=1)

    job = run(fake)

    assert list(fake.jobs) == [FIRST]
    assert job["TrainingJobName"] == FIRST


def test_refuses_a_name_that_another_execution_takes_at_the_same_moment():
    fake = FakeSageMaker()
    create = fake.create_training_job

    def taken_just_now(**request):
        create(**{**request, "Environment": {"ML_EXECUTION_ID": "another"}})
        raise Refused("ResourceInUse", "taken")

    fake.create_training_job = taken_just_now

    with pytest.raises(StageFailed, match="is taken by a job of another execution"):
        run(fake)


def test_refuses_to_try_for_ever_when_a_taken_name_cannot_be_looked_up():
    fake = FakeSageMaker(refusals=[Refused("ResourceInUse", "taken")] * 1000)

    with pytest.raises(StageFailed, match="cannot be started, for SageMaker says that it exists, nor be found"):
        run(fake)


def test_a_new_job_may_take_a_moment_to_show():
    assert run(FakeSageMaker(hides_jobs_for=3))["TrainingJobStatus"] == "Completed"


def test_a_build_outlasts_a_busy_sagemaker():
    fake = FakeSageMaker(busy=[Refused("ThrottlingException", "Rate exceeded")])

    assert run(fake)["TrainingJobStatus"] == "Completed"


def test_a_missing_right_to_look_is_not_taken_for_a_missing_job():
    fake = FakeSageMaker(busy=[Refused("AccessDeniedException", "not allowed sagemaker:DescribeTrainingJob")])

    with pytest.raises(ClientError, match="not allowed"):
        run(fake)

    assert fake.jobs == {}


def test_fails_when_the_job_never_shows():
    with pytest.raises(StageFailed, match=f"the training job '{FIRST}' was deleted while the build waited"):
        run(FakeSageMaker(hides_jobs_for=1000))


def test_fails_when_the_job_is_deleted_meanwhile():
    assert failed(["InProgress", "GONE"]) == (
        f"the training job '{FIRST}' was deleted while the build waited for it: retry the stage"
    )


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ValidationException", "ResourceNotFound"])
def test_fails_with_sagemakers_own_words_when_it_refuses_the_job(code):
    fake = FakeSageMaker(refusals=[Refused(code, "the limit 'ml.p3.2xlarge for training job usage' is 0 Instances")])

    with pytest.raises(StageFailed) as caught:
        run(fake)

    assert str(caught.value) == (
        f"SageMaker refuses the training job '{FIRST}': the limit 'ml.p3.2xlarge for training job usage' is 0 Instances"
    )


def test_a_missing_right_is_not_the_users_to_mend_and_keeps_its_traceback():
    fake = FakeSageMaker(refusals=[Refused("AccessDeniedException", "not allowed sagemaker:CreateTrainingJob")])

    with pytest.raises(ClientError, match="not allowed"):
        run(fake)


def test_fails_with_the_containers_reason():
    told = failed([{"status": "Failed", "FailureReason": "AlgorithmError: no slope, exit code: 1"}])

    assert told == f"the training job '{FIRST}' failed: AlgorithmError: no slope, exit code: 1"


def test_fails_with_reason_and_exit_message_of_a_processing_job():
    script = [{"status": "Failed", "FailureReason": "AlgorithmError", "ExitMessage": "row 7 has no age"}]

    assert failed(script, "preprocess").endswith("failed: AlgorithmError; row 7 has no age")


def test_fails_without_a_reason_when_there_is_none():
    assert failed(["Failed"]).endswith("failed: no reason given")


def test_fails_naming_the_time_limit_of_a_training_job_that_reached_it():
    told = failed([{"status": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}])

    assert told == f"the training job '{FIRST}' reached its time limit of 3600 seconds: raise 'max_runtime'"


def test_fails_naming_the_wait_for_spot_capacity_that_was_too_long():
    told = failed([{"status": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}])

    assert "waited longer than its 7200 seconds for spot capacity" in told


def test_fails_naming_the_time_limit_of_a_processing_job_that_reached_it():
    told = failed([{"status": "Stopped", **took("Processing", 3600.5)}], "evaluate")

    assert told.endswith("reached its time limit of 3600 seconds: raise 'max_runtime'")


@pytest.mark.parametrize(
    ("task", "look"),
    [
        ("train", {"status": "Stopped", "SecondaryStatus": "Stopped"}),
        ("train", {"status": "Stopped", "SecondaryStatus": "Stopped", **took("Training", 4000)}),
        ("evaluate", {"status": "Stopped", **took("Processing", 120)}),
        ("evaluate", {"status": "Stopped"}),
    ],
)
def test_fails_saying_that_a_job_was_stopped_by_somebody(task, look):
    assert failed([look], task).endswith("was stopped before its end: retry the stage to run it again")


def test_fails_when_every_attempt_is_used_up():
    fake = FakeSageMaker([["Failed"]])
    with pytest.raises(StageFailed, match="failed: no reason given"):
        run(fake)
    fake.jobs |= {f"{FIRST}-{attempt}": fake.jobs[FIRST] for attempt in range(2, 100)}

    with pytest.raises(StageFailed, match="'train' was tried 99 times in this execution"):
        run(fake)


def test_the_log_is_printed_while_the_job_runs_and_its_last_lines_after_the_end(capsys):
    stream = f"{FIRST}/algo-1-170"
    logs = FakeLogs([(1, stream, "early"), (2, stream, "later"), (4, stream, "after the end")])

    run(FakeSageMaker([["InProgress", "InProgress", "Completed"]]), logs=logs)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"train: starting training job {FIRST}", "  early", "  later", "  after the end"]


def test_the_log_of_a_failed_job_is_printed_too(capsys):
    logs = FakeLogs([(2, f"{FIRST}/algo-1-170", "Traceback: ...")])

    with pytest.raises(StageFailed):
        run(FakeSageMaker([["Failed"]]), logs=logs)

    assert "  Traceback: ..." in capsys.readouterr().out
