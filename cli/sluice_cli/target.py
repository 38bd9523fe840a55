"""Choose the cloud a command talks to: the local one if it is running, else AWS."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sluice.adapters.cloud import AwsCloud
from sluice.domain.safeguards import Safeguards
from sluice.ports import Catalog, Cloud
from sluice_cli.errors import EXIT_USAGE, UNREACHED, CommandError
from sluice_cli.first_contact import CONNECT_TIMEOUT_S, FirstContact

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_STACK = "sluice"
_SETTINGS = {
    "CATALOG_TABLE": "CatalogTableName",
    "DATA_BUCKET": "DataBucketName",
    "ARTIFACT_BUCKET": "ArtifactBucketName",
    "BUILD_REQUESTS_URL": "BuildRequestsQueueUrl",
    "BUILD_MACHINE_ARN": "BuildModelStateMachineArn",
    "RELEASE_MACHINE_ARN": "ReleaseModelStateMachineArn",
}
# AWS says that new rules "may take some time"; users report minutes.
_RULES_TAKE = timedelta(minutes=10)


def home() -> Path:
    """Return the local cloud's folder: `SLUICE_HOME`, else `.sluice` in the checkout."""
    return Path(os.environ.get("SLUICE_HOME") or REPOSITORY / ".sluice")


def local_state_dir() -> Path:
    return home() / "local"


def local_cloud() -> dict[str, Any] | None:
    """Return the running local cloud's ready file (`pid`, `endpoint_url`, ...); None if none is running."""
    try:
        ready: dict[str, Any] = json.loads((local_state_dir() / "ready.json").read_text())
        return ready if ready["pid"] == local_pid() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def local_pid() -> int | None:
    """Return the process id that holds the local cloud's lock: an id in a file may be another's by now."""
    from sluice_local.state import state_lock

    return state_lock.holder(local_state_dir())


class StackCloud(AwsCloud):
    """A stack as commands reach it, without safeguards: commands create nothing that needs them."""

    @cached_property
    def safeguards(self) -> Safeguards:
        return Safeguards()


@dataclass
class Target:
    """One deployed stack, and boto3 clients that reach it."""

    stack: str
    session: boto3.Session
    endpoint_url: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict)
    _making: Lock = field(default_factory=Lock)

    @property
    def is_local(self) -> bool:
        return self.endpoint_url is not None

    @cached_property
    def description(self) -> str:
        """The target's name, printed before a command acts."""
        if self.is_local:
            return f"local cloud {self.endpoint_url}, stack {self.stack}"
        account = self.call("sts", "get_caller_identity")["Account"]
        return f"AWS account {account}, {self.session.region_name}, stack {self.stack}"

    def client(self, service: str) -> Any:
        """Return a cached boto3 client of the service."""
        # The console's pages may be the first to ask, side by side, and a session makes one client at a time.
        with self._making:
            if service not in self._clients:
                config = Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    connect_timeout=CONNECT_TIMEOUT_S,
                    user_agent_extra="sluice",
                )
                self._clients[service] = self.session.client(  # type: ignore[call-overload]
                    service, endpoint_url=self.endpoint_url, config=config
                )
            return self._clients[service]

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call one AWS operation; raises CommandError with AWS's message."""
        try:
            answer: dict[str, Any] = getattr(self.client(service), operation)(**parameters)
        except ClientError as error:
            message = error.response["Error"].get("Message") or str(error)
            raise CommandError(f"{operation}: {message}") from error
        except BotoCoreError as error:
            raise CommandError(str(error), hint=UNREACHED) from error
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return `key` of all pages of a list operation."""
        try:
            pages = self.client(service).get_paginator(operation).paginate(**parameters)
            return [item for page in pages for item in page.get(key, [])]
        except ClientError as error:
            raise CommandError(f"{operation}: {error.response['Error'].get('Message', error)}") from error

    @cached_property
    def _described(self) -> dict[str, Any]:
        try:
            stacks = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except ClientError as error:
            raise CommandError(
                f"there is no stack {self.stack!r} here: {error.response['Error'].get('Message', error)}",
                hint="Deploy it first: `sluice up` for the local cloud, `sam deploy --guided` for AWS.",
            ) from error
        except BotoCoreError as error:
            raise CommandError(
                f"cannot reach AWS: {error}",
                hint="Run `sluice up` for the local cloud, or set AWS credentials.",
            ) from error
        found: dict[str, Any] = stacks[0]
        return found

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._described.get("Outputs", [])}

    @property
    def is_new(self) -> bool:
        """Whether EventBridge may not act on the stack's rules yet; the local one acts at once."""
        return not self.is_local and datetime.now(UTC) - self._described["CreationTime"] < _RULES_TAKE

    @cached_property
    def cloud(self) -> Cloud:
        """The stack as use cases receive it, with the settings that the stack's outputs name."""
        settings = {name: self.outputs[output] for name, output in _SETTINGS.items()}
        _, partition, _, region, account, _ = settings["BUILD_MACHINE_ARN"].split(":", 5)
        # As the template names it to functions.
        roles = f"arn:{partition}:iam::{account}:role/sluice/{self.stack}/{region}/"
        own = {"STACK_NAME": self.stack, "AWS_REGION": region, "ROLES_ARN": roles}
        return StackCloud({**own, **settings}, self.client)

    @property
    def catalog(self) -> Catalog:
        return self.cloud.catalog


def local_session(ready: dict[str, Any]) -> boto3.Session:
    """Make a session that only the local cloud accepts."""
    return boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
        region_name=ready["region"],
    )


def local_environment(ready: dict[str, Any]) -> dict[str, str]:
    """Return the variables that point AWS's own tools at the local cloud, as its root user."""
    credentials = local_session(ready).get_credentials()
    assert credentials is not None  # noqa: S101 - the session was made with them
    return {
        "AWS_ENDPOINT_URL": ready["endpoint_url"],
        "AWS_REGION": ready["region"],
        "AWS_DEFAULT_REGION": ready["region"],
        "AWS_ACCESS_KEY_ID": str(credentials.access_key),
        "AWS_SECRET_ACCESS_KEY": str(credentials.secret_key),
    }


def resolve(*, where: str = "auto", stack: str | None, profile: str | None, region: str | None) -> Target:
    """Choose the target: `local`, `aws`, or `auto` (the local cloud if it is running, else AWS)."""
    stack = stack or os.environ.get("SLUICE_STACK") or DEFAULT_STACK
    ready = local_cloud()
    wants_local = where == "local" or (where == "auto" and ready is not None and profile is None)
    if wants_local:
        if ready is None:
            raise CommandError(
                "the local cloud is not running", hint="Start it with `sluice up`.", exit_code=EXIT_USAGE
            )
        return Target(stack, local_session(ready), ready["endpoint_url"])
    try:
        # Other tools of AWS read AWS_REGION; boto3 reads AWS_DEFAULT_REGION alone.
        session = boto3.Session(profile_name=profile, region_name=region or os.environ.get("AWS_REGION"))
    except BotoCoreError as error:
        raise CommandError(str(error), exit_code=EXIT_USAGE) from error
    _require_aws(session, is_local_running=ready is not None)
    FirstContact(session)
    return Target(stack, session)


def _require_aws(session: boto3.Session, *, is_local_running: bool) -> None:
    found = {"credentials": session.get_credentials(), "a region": session.region_name}
    if lacking := [name for name, value in found.items() if value is None]:
        nowhere = "" if is_local_running else "no local cloud is running, and "
        local = "Leave out --aws" if is_local_running else "Run `sluice up`"
        raise CommandError(
            f"{nowhere}the AWS configuration lacks {' and '.join(lacking)}",
            hint=f"{local} for the local cloud, or configure AWS (`aws configure`) and pass --region.",
            exit_code=EXIT_USAGE,
        )
