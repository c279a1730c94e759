"""How the programs call AWS: patient clients, and pauses that grow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from .contract import StageFailed

_Answer = TypeVar("_Answer")

# What botocore calls a throttled or an overloaded service, where its own retries were not enough.
BUSY = frozenset({"RequestLimitExceeded", "ServiceUnavailableException", "Throttling", "ThrottlingException"})


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often to look at something that takes its time: often at first, for mistakes show early, then ever less."""

    first_seconds: float = 0.2
    growth: float = 1.3
    longest_seconds: float = 30.0
    limit_seconds: float = math.inf

    def __iter__(self) -> Iterator[float]:
        """Yield the seconds that have passed: at once, and after every pause until the limit is over."""
        started, pause = time.monotonic(), self.first_seconds
        while True:
            passed = time.monotonic() - started
            yield passed
            if passed >= self.limit_seconds:
                return
            time.sleep(pause)
            pause = min(pause * self.growth, self.longest_seconds)


RETRIES = Pace(first_seconds=0.5, growth=2.0, longest_seconds=15.0, limit_seconds=60.0)


def client(service: str, region: str | None = None) -> Any:
    """A client that rides out throttling and passing faults, whatever the retries of the installed boto3 are.

    Args:
        service: The service.
        region: Its region. Default: that of the environment.
    """
    # Imported on use: whoever only reads the records of a release needs no boto3, which takes a while to load.
    import boto3

    return boto3.client(service, region, config=_config())


def clients_in(region: str, client: Callable[..., Any] = client) -> Callable[[str], Any]:
    """What gives the clients of another region.

    Args:
        region: The region; without one, ``client`` itself is given.
        client: Gives the client of a service, in a region if one is named.
    """
    return (lambda service: client(service, region)) if region else client


def clients_as(role_arn: str, client: Callable[[str], Any] = client) -> Callable[[str], Any]:
    """What gives the clients of another account: as patient, and with credentials that are renewed in time.

    Args:
        role_arn: The role to assume; without one, ``client`` itself is given.
        client: Gives the client of a service in the own account.
    """
    if not role_arn:
        return client
    import boto3
    from botocore.credentials import CredentialResolver, DeferredRefreshableCredentials
    from botocore.session import Session

    sts = client("sts")

    def assume() -> dict[str, str]:
        # From one role to another, AWS allows an hour, which a release may well take.
        try:
            made = sts.assume_role(RoleArn=role_arn, RoleSessionName="ml-release")["Credentials"]
        except ClientError as error:
            raise StageFailed(
                f"the endpoint's account does not let this build in as {role_arn}: {message(error)}; deploy the stack "
                "of its roles, then retry the stage"
            ) from None
        return {
            "access_key": made["AccessKeyId"],
            "secret_key": made["SecretAccessKey"],
            "token": made["SessionToken"],
            "expiry_time": made["Expiration"].isoformat(),
        }

    class AssumedRole:
        METHOD = CANONICAL_NAME = "ml-release"

        def load(self) -> DeferredRefreshableCredentials:
            return DeferredRefreshableCredentials(refresh_using=assume, method=self.METHOD)

    session = Session()
    session.register_component("credential_provider", CredentialResolver([AssumedRole()]))
    there = boto3.Session(botocore_session=session)
    return lambda service: there.client(service, config=_config())


def _config() -> Any:
    from botocore.config import Config

    # SageMaker gives a model 60 seconds to answer; with botocore's own 60 the client would hang up first.
    return Config(retries={"mode": "standard", "total_max_attempts": 6}, read_timeout=70)


def code(error: ClientError) -> str:
    """The name of an error, such as ``ValidationException``."""
    name: str = error.response["Error"]["Code"]
    return name


def message(error: ClientError) -> str:
    """What AWS says of an error."""
    return error.response["Error"].get("Message") or str(error)


def retried(call: Callable[[], _Answer], codes: Collection[str], pace: Pace = RETRIES) -> _Answer:
    """Call again while AWS answers with one of ``codes``; when the time is over, the error is raised."""
    rounds = iter(pace)
    next(rounds)
    while True:
        try:
            return call()
        except ClientError as error:
            if code(error) not in codes or next(rounds, None) is None:
                raise
