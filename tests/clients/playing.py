"""Run scripts as people do, with an SDK in an environment of its own, against a local cloud."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

HERE = Path(__file__).parent
ROLE = "sagemaker-execution"
TIMEOUT_S = 600
# What is played with one version of the SDK is another worker's than what is played with the other.
VERSIONS = [pytest.param(version, marks=pytest.mark.xdist_group(f"sdk{version}")) for version in "23"]
_TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
# An account's administrator opts out in such a file; else the SDK calls an address of AWS after each request.
_NO_TELEMETRY = "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"


class Client:
    """One version of the SDK, with a cloud, a role, and a bucket."""

    def __init__(self, cloud: LocalCloud, version: str, home: Path, bucket: str) -> None:
        self.cloud, self.version, self.home, self.bucket = cloud, version, home, bucket
        self.python = REPOSITORY / f".venv/envs/sdk{version}/bin/python"
        assert self.python.exists(), "there is no environment with the SDK: run `make clients`"
        (home / "config.yaml").write_text(_NO_TELEMETRY)
        # The SDK leaves files there.
        (home / "tmp").mkdir()
        iam = cloud.client("iam")
        # The SDK 3 asks IAM whether the role may do what a job needs.
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy(_TRUST))
        iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=_policy(_EVERYTHING))
        cloud.client("s3").create_bucket(Bucket=bucket)

    def put(self, key: str, body: str | bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def document(self, uri: str) -> Any:
        """The JSON document at a URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return json.loads(self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def play(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run `<script>_v<version>.py`, or `<script>.py` for all; what it printed on its last line."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        variables = {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(self.home / "config.yaml"),
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_DEFAULT_REGION": self.cloud.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        own = HERE / f"{script}_v{self.version}.py"
        done = subprocess.run(
            [self.python, own if own.exists() else HERE / f"{script}.py", self.bucket, *arguments],
            cwd=self.home,
            env=kept | variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        # Some versions of the SDK print what went wrong, others log it.
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return printed


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
