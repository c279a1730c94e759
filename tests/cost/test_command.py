"""``ml-release cost`` as a person at a terminal meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_ml_release.cli import main
from cdk_ml_release.cost import estimate

from .conftest import a


def test_the_example_is_known_to_the_last_item(abalone):
    bill = estimate(abalone)

    standing = {(line.where, line.item): line.usd for line in bill.inventory.lines}
    assert standing["abalone-production / AllTraffic", "2 x ml.m5.large, 730 hours"] == pytest.approx(167.9)
    assert standing["abalone", "2 x AWS::S3::Bucket with 10 GB"] == pytest.approx(0.46)
    (release,) = bill.releases
    jobs = [(line.where, line.item) for line in release.lines if " on 1 x ml." in line.item]
    assert jobs == [
        ("Build / Preprocess", "processing on 1 x ml.m5.large, 10 min"),
        ("Build / Train", "training on 1 x ml.m5.large, 10 min"),
        ("Build / Evaluate", "processing on 1 x ml.m5.large, 10 min"),
    ]
    assert release.waiting_minutes == 30
    assert [line for line in [*bill.inventory.lines, *release.lines] if line.usd is None] == []


def test_the_bill_is_plain_data(abalone):
    data = estimate(abalone).to_data()

    assert json.loads(json.dumps(data)) == data
    assert data["releases"][0]["waiting_minutes"] == 30


def test_the_page_says_totals_assumptions_and_waiting(abalone, capsys):
    status = main(["cost", str(abalone), "--job-minutes", "5", "--job-minutes", "train=60", "--releases", "10"])

    page = capsys.readouterr().out
    assert status == 0
    assert "The assembly does not say its region: us-east-1 is assumed" in page
    assert "training on 1 x ml.m5.large, 60 min" in page
    assert "builds that wait 70 minutes for jobs and shadows, and their action minutes: $0.4900" in page
    assert "A month with 10 releases: $" in page
    assert "a job's instances run 5 minutes, train 60 (--job-minutes)" in page
    assert "100 action minutes of CodePipeline V2" in page


def test_a_redirected_bill_is_the_same_without_terminal_codes_and_without_the_rehearsal(assembly):
    folder = assembly({"Key": a("AWS::KMS::Key"), "Table": a("AWS::DynamoDB::Table")})
    nothing_else = "import sys; sys.modules.update(boto3=None, moto=None, rich=None, aws_cdk=None)"
    code = f"{nothing_else}; from cdk_ml_release.cli import main; sys.exit(main(['cost', {str(folder)!r}]))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "  Total: at least $1.00 plus 1 unknown\n" in done.stdout
    assert "unknown: the table does not know this resource type\n" in done.stdout


def test_a_reader_that_has_seen_enough_ends_it_quietly(assembly):
    folder = assembly({"Key": a("AWS::KMS::Key")})
    command = f"{sys.executable} -c 'from cdk_ml_release.cli import main; main()' cost {folder} | true"

    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_refuses_when_the_folder_is_no_assembly(tmp_path, capsys):
    status = main(["cost", str(tmp_path)])

    assert status == 1
    assert capsys.readouterr().err == (
        f"no estimate: 'assembly' must be a cloud assembly, got '{tmp_path}', which has no manifest.json; "
        "run 'cdk synth' and give the folder that it wrote, such as cdk.out\n"
    )


def test_refuses_when_the_assembly_is_not_complete(assembly, capsys):
    folder = assembly({})
    Path(folder, "app.template.json").unlink()

    assert main(["cost", str(folder)]) == 1
    assert "'assembly' must be complete, but has no" in capsys.readouterr().err


def test_refuses_when_a_job_is_not_there(abalone, capsys):
    assert main(["cost", str(abalone), "--job-minutes", "trian=5"]) == 1
    assert "got 'trian'; its jobs are: evaluate, preprocess, train" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["many", "-1", "nan", "train="])
def test_refuses_when_minutes_are_no_number(minutes, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["cost", "cdk.out", f"--job-minutes={minutes}"])

    assert refused.value.code == 2
    assert "must be a number of 0 or more" in capsys.readouterr().err
