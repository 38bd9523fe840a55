"""Deploy stacks to the local cloud: with the real SAM CLI, or through the API."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sluice_local.cloud import LocalCloud
from sluice_local.settings import REPOSITORY

SAM = REPOSITORY / ".venv/envs/sam/bin/sam"


def sam(cloud: LocalCloud, folder: Path, *arguments: str) -> None:
    """Run the SAM CLI in a folder; its output is the message if it fails."""
    # It leaves a temporary folder for each archive that it makes.
    with tempfile.TemporaryDirectory() as scratch:
        own = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.1", "TMPDIR": scratch}
        environment = cloud.environment() | own
        done = subprocess.run(
            [str(SAM), *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def sam_deploy(cloud: LocalCloud, folder: Path, stack: str, *overrides: str) -> None:
    """Build and deploy a folder's template."""
    sam(cloud, folder, "build", "--cached", "--parallel")
    parameters = ["--parameter-overrides", *overrides] if overrides else []
    sam(
        cloud,
        folder,
        *("deploy", "--stack-name", stack, "--resolve-s3", "--no-confirm-changeset"),
        *("--no-fail-on-empty-changeset", "--capabilities", "CAPABILITY_IAM", *parameters),
    )


def outputs(cloud: LocalCloud, stack: str) -> dict[str, str]:
    """A stack's outputs by name."""
    (description,) = cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def create(cloud: LocalCloud, stack: str, **resources: dict[str, Any]) -> dict[str, Any]:
    """Create a stack of plain resources; its final description, whatever the status."""
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack, TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_IAM"]
    )
    return settled(cloud, stack)


def update(cloud: LocalCloud, stack: str, **resources: dict[str, Any]) -> dict[str, Any]:
    """Update a stack of plain resources; its final description, whatever the status."""
    cloud.client("cloudformation").update_stack(
        StackName=stack, TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_IAM"]
    )
    return settled(cloud, stack)


def settled(cloud: LocalCloud, stack: str) -> dict[str, Any]:
    """The description of a stack once nothing of it is in progress."""
    from local.functions import wait_for

    def finished() -> dict[str, Any] | None:
        (description,) = cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return None if description["StackStatus"].endswith("IN_PROGRESS") else description

    description = wait_for(finished)
    assert description is not None
    return description


def reasons(cloud: LocalCloud, stack: str) -> dict[str, str]:
    """Why resources failed, by logical id."""
    events = cloud.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return {
        event["LogicalResourceId"]: event.get("ResourceStatusReason", "")
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    }
