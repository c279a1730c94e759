"""The page that says how true a rehearsal is, is true itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.cloud.account import Account
from cdk_ml_release.rehearsal.cloud.automation.automation_handlers import automation_handlers
from cdk_ml_release.rehearsal.cloud.cloudformation_api import OPERATIONS, services
from cdk_ml_release.rehearsal.cloud.gateway import Gateway
from cdk_ml_release.rehearsal.cloud.hosting import hosting_handlers
from cdk_ml_release.rehearsal.cloud.hours import now
from cdk_ml_release.rehearsal.cloud.resources import handlers
from cdk_ml_release.rehearsal.cloud.watching import watching_handlers
from cdk_ml_release.rehearsal.cloud.workplace import Workplace
from cdk_ml_release.rehearsal.fidelity import ACTION_TYPES, RESOURCE_TYPES, render
from cdk_ml_release.rehearsal.pipelines.performers import Performers
from cdk_ml_release.rehearsal.stacks.stacks import BUILT_IN, Stacks

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"


@pytest.fixture
def gateway():
    opened = Gateway("us-east-1")
    yield opened
    opened.close()


def test_every_resource_type_that_can_be_created_is_on_the_page_and_no_other(gateway):
    known = handlers(gateway, Account()).keys() | hosting_handlers(gateway).keys()
    known |= watching_handlers(gateway).keys() | automation_handlers(gateway).keys() | BUILT_IN

    assert known == RESOURCE_TYPES.keys()


def test_every_action_type_that_can_be_performed_is_on_the_page_and_no_other(gateway, tmp_path):
    place = Workplace(gateway=gateway, out=tmp_path, cache=tmp_path, startup_seconds=1)
    stacks = Stacks({}, account="1" * 12, region="us-east-1", ssm_lookup=str, now=now)
    performers = Performers(
        place=place, account=Account(), stacks=stacks, sources={}, approve=lambda *_: True, deployers={}
    )

    assert performers.all().keys() == ACTION_TYPES.keys()


def test_cloudformation_answers_what_the_page_says():
    stacks = Stacks({}, account="1" * 12, region="us-east-1", ssm_lookup=str, now=now)

    assert services(stacks, {}).keys() == OPERATIONS


def test_the_page_is_what_the_code_writes():
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "docs/fidelity.md is stale: python -m cdk_ml_release.rehearsal.fidelity > docs/fidelity.md"
    )


def test_a_call_that_the_rehearsal_does_not_know_is_an_error_that_names_it(gateway):
    client = gateway.client("codedeploy")

    with pytest.raises(ClientError, match="does not know codedeploy:ListApplications"):
        client.list_applications()
