"""Places: where the data, the runs and the labels of an app lie, as its builds are told."""

from __future__ import annotations

from .cloud.account import Account

__all__ = ["Places", "RehearsalError"]


class RehearsalError(Exception):
    """Why the rehearsal cannot go on, in one line."""


class Places:
    """The buckets and prefixes that the deployed projects name."""

    def __init__(self, account: Account) -> None:
        """Look at what is, or will be, declared."""
        self._account = account

    def of_data(self, key: str) -> tuple[str, str]:
        """Bucket and key of some data.

        Args:
            key: Under the data prefix, in the repo's bucket (with a slash before it), or an S3 URI.

        Raises:
            RehearsalError: if the app has no such place, or several.
        """
        if key.startswith("/"):
            uri = f"s3://{self.run_bucket(key)}{key}"
        else:
            uri = key if key.startswith("s3://") else f"{self._data_uri(key)}{key}"
        bucket, _, target = uri.removeprefix("s3://").partition("/")
        return bucket, target

    def run_bucket(self, key: str) -> str:
        """The bucket in which builds keep their runs.

        Raises:
            RehearsalError: if the app has none or several, naming what has no place then.
        """
        found = self.run_buckets()
        if len(found) != 1:
            raise RehearsalError(f"'{key}' has no place: the app has {len(found)} repos; name it by its S3 URI")
        return found.pop()

    def run_buckets(self) -> set[str]:
        """The buckets in which builds keep their runs."""
        return self._declared("ML_BUCKET")

    def gates(self) -> set[str]:
        """The limits that models must keep, as each build is told them."""
        return self._declared("ML_GATES")

    def _data_uri(self, key: str) -> str:
        found = self._declared("ML_DATA_URI")
        if len(found) != 1:
            raise RehearsalError(
                f"the data '{key}' has no place: the app has {len(found)} data prefixes; name it by its S3 URI"
            )
        return found.pop()

    def _declared(self, variable: str) -> set[str]:
        """The values of a variable in the environments of all CodeBuild projects."""
        return {
            str(each["Value"])
            for project in self._account.projects.values()
            for each in project["Environment"].get("EnvironmentVariables", ())
            if each["Name"] == variable
        }
