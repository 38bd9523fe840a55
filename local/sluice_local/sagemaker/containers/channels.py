"""Read and write S3 for jobs, with the rights of their roles.

Objects are read from ministack's store in this process, a hundred times faster than over loopback. They are
written through the API, so that versions, encryption and notifications are S3's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError
from ministack.core.responses import request_scope
from ministack.services import s3

from sluice.containers.data import DataError, S3Location
from sluice_local.patches.iam import decisions
from sluice_local.sagemaker.api import clients
from sluice_local.sagemaker.api.core import Scope


@dataclass(frozen=True, slots=True)
class JobStorage:
    """S3 with the rights of a job's role; SageMaker itself asks no policies."""

    scope: Scope
    role_arn: str
    endpoint_url: str
    kms_key_id: str = ""
    asks_policies: bool = True

    @property
    def region(self) -> str:
        return self.scope.region

    def read(self, location: S3Location, version_id: str | None = None) -> bytes:
        """Read an object; raises DataError if the role may not, or there is none."""
        self._require("s3:GetObject", f"{location.bucket}/{location.key}")
        with request_scope(self.scope.account, self.scope.region):
            data: bytes | None = s3._get_object_data(location.bucket, location.key, version_id)
        if data is None:
            raise DataError(f"Data download failed: NoSuchKey (404): {location} does not exist.")
        return data

    @property
    def workers(self) -> int:
        return 1  # objects are in this process

    def fetch(self, location: S3Location, target: Path) -> None:
        """Write an object to a file; raises DataError as `read` does."""
        target.write_bytes(self.read(location))

    def keys(self, prefix: S3Location) -> list[str]:
        """Return the keys with a prefix, sorted, without folder markers; raises DataError."""
        self._require("s3:ListBucket", prefix.bucket, **{"s3:prefix": prefix.key})
        with request_scope(self.scope.account, self.scope.region):
            bucket = s3._buckets.get(prefix.bucket)
        if bucket is None:
            raise DataError(
                f"Data download failed: NoSuchBucket (404): The bucket {prefix.bucket} does not exist."
            )
        # Copy in one step: other threads change it.
        keys = list(bucket["objects"])
        return sorted(key for key in keys if key.startswith(prefix.key) and not key.endswith("/"))

    def write(self, location: S3Location, source: Path) -> None:
        """Upload a file; raises DataError if the role may not, or S3 refuses."""
        self._require("s3:PutObject", f"{location.bucket}/{location.key}")
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_id} if self.kms_key_id else {}
        )
        client = clients.client("s3", self.endpoint_url, self.scope)
        try:
            with source.open("rb") as body:
                client.put_object(Bucket=location.bucket, Key=location.key, Body=body, **encryption)
        except ClientError as error:
            detail = error.response["Error"]
            raise DataError(
                f"Data upload failed: {detail['Code']}: {detail['Message']} ({location})"
            ) from error

    def _require(self, action: str, resource: str, **conditions: str) -> None:
        if not self.asks_policies:
            return
        with request_scope(self.scope.account, self.scope.region):
            denial = decisions.denial(
                self.role_arn, action, f"arn:aws:s3:::{resource}", conditions, "SageMaker"
            )
        if denial:
            raise DataError(f"AccessDenied (403): {denial}")
