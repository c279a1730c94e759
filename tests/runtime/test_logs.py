"""The log of a job's containers."""

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime.logs import LogTail

from .fakes import FakeLogs, Refused, played_by

ONE, TWO = "job/algo-1-170", "job/algo-2-170"


def looks(fake, times):
    """Print what is new, so many times."""
    tail = LogTail(played_by("logs", fake), "/aws/sagemaker/TrainingJobs", "job")
    for _ in range(times):
        tail.print_new()


def test_each_line_is_printed_once_in_its_order(capsys):
    looks(FakeLogs([(1, ONE, "a"), (1, ONE, "b"), (3, ONE, "c")]), 4)

    assert capsys.readouterr().out == "  a\n  b\n  c\n"


def test_a_log_that_does_not_exist_yet_is_no_error(capsys):
    looks(FakeLogs([(2, ONE, "late")]), 3)

    assert capsys.readouterr().out == "  late\n"


def test_lines_of_several_hosts_name_their_host(capsys):
    looks(FakeLogs([(1, ONE, "a"), (1, TWO, "b")]), 1)

    assert capsys.readouterr().out == "  algo-1: a\n  algo-2: b\n"


def test_hosts_beyond_the_first_page_are_printed_too(capsys):
    streams = [f"job/algo-{number:03}-170" for number in range(7)]

    looks(FakeLogs([(1, stream, stream) for stream in streams], streams_in_a_page=3), 1)

    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == streams


def test_lines_of_another_job_whose_name_begins_alike_are_not_printed(capsys):
    looks(FakeLogs([(1, ONE, "mine"), (1, "job-2/algo-1-170", "not mine")]), 1)

    assert capsys.readouterr().out == "  mine\n"


def test_a_line_end_of_the_container_is_not_doubled(capsys):
    looks(FakeLogs([(1, ONE, "a\n"), (1, ONE, "b")]), 1)

    assert capsys.readouterr().out == "  a\n  b\n"


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceUnavailableException"])
def test_a_look_at_a_busy_service_is_made_up_for_by_the_next(capsys, code):
    looks(FakeLogs([(1, ONE, "a")], refusals=[Refused(code)]), 2)

    assert capsys.readouterr().out == "  a\n"


def test_refuses_to_hide_a_missing_right():
    fake = FakeLogs(refusals=[Refused("AccessDeniedException", "not allowed logs:DescribeLogStreams")])

    with pytest.raises(ClientError, match="not allowed"):
        looks(fake, 1)
