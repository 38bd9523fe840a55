"""Publish events of the local SageMaker on the default EventBridge bus."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from sluice_local.sagemaker.api.core import Scope


def publish(scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Put an `aws.sagemaker` event on the scope's default bus; callable from any thread."""
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": resources,
    }
    with request_scope(scope.account, scope.region):
        # Only AWS's own services may use an aws.* source; PutEvents refuses it for all others.
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def iso_time(moment_s: float) -> str:
    """Write an epoch time for events whose times are text."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
