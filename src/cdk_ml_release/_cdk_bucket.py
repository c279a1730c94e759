"""A bucket of this library as a construct of CDK's, whose policy is the one that the template has already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

if TYPE_CHECKING:
    from ._bucket import PrivateBucket


class CdkBucket(s3.BucketBase):
    """Grants and statements find their way into the bucket's own policy: to CDK an imported one would be nobody's."""

    def __init__(self, bucket: PrivateBucket) -> None:
        """Show a bucket as CDK knows buckets."""
        self._bucket = bucket
        super().__init__(bucket.cfn, "Bucket")

    @jsii.member(jsii_name="addToResourcePolicy")
    def add_to_resource_policy(self, permission: iam.PolicyStatement) -> iam.AddToResourcePolicyResult:
        """Add a statement to the bucket's policy."""
        self._bucket.share(permission.to_statement_json())
        return iam.AddToResourcePolicyResult(statement_added=True, policy_dependable=self._bucket.policy.cfn)

    @property
    def bucket_arn(self) -> str:
        """The ARN."""
        return self._bucket.token("Arn")

    @property
    def bucket_name(self) -> str:
        """The name."""
        return self._bucket.token()

    @property
    def bucket_domain_name(self) -> str:
        """The domain."""
        return self._bucket.token("DomainName")

    @property
    def bucket_dual_stack_domain_name(self) -> str:
        """The domain for IPv4 and IPv6."""
        return self._bucket.token("DualStackDomainName")

    @property
    def bucket_regional_domain_name(self) -> str:
        """The domain in its region."""
        return self._bucket.token("RegionalDomainName")

    @property
    def bucket_website_domain_name(self) -> str:
        """The domain of a website, which it is none."""
        return self.bucket_domain_name

    @property
    def bucket_website_url(self) -> str:
        """The address of a website, which it is none."""
        return self._bucket.token("WebsiteURL")

    @property
    def encryption_key(self) -> kms.IKey | None:
        """The customer managed key, if there is one."""
        return self._bucket.key

    @property
    def is_website(self) -> bool:
        """It is none."""
        return False

    @property  # type: ignore[misc]  # CDK sets it in subclasses of its own
    def replication_role_arn(self) -> str | None:
        """It is not copied anywhere."""
        return None

    @property  # type: ignore[misc]  # CDK sets it in subclasses of its own
    def disallow_public_access(self) -> bool:
        """Nobody makes it public."""
        return True

    @property  # type: ignore[misc]  # CDK sets it in subclasses of its own
    def policy(self) -> s3.BucketPolicy | None:
        """What CDK would add statements to by itself."""
        return None

    @property  # type: ignore[misc]  # CDK sets it in subclasses of its own
    def _auto_create_policy(self) -> bool:
        return False
