"""Call functions as Lambda does, in the environment that they expect."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import fakes

ROOT = Path(__file__).parent.parent

os.environ |= {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "STACK_NAME": "sluice",
    "CATALOG_TABLE": "sluice-catalog",
    "DATA_BUCKET": fakes.DATA_BUCKET,
    "ARTIFACT_BUCKET": fakes.ARTIFACT_BUCKET,
    "AUTOMATIC_APPROVAL": "false",
    "ROLES_ARN": fakes.ROLES_ARN,
    "JOB_BOUNDARY_ARN": "arn:aws:iam::123456789012:policy/sluice-boundary",
    "KMS_KEY_ARN": "",
    "SUBNET_IDS": "",
    "SECURITY_GROUP_IDS": "",
    "JOB_NETWORK_ISOLATION": "false",
    "JOB_TRAFFIC_ENCRYPTION": "false",
    "RESOURCE_TAGS": "",
    "SAGEMAKER_LOG_RETENTION_DAYS": "0",
    "NOTICES_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:sluice-notices",
    "WEBHOOK_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/sluice-webhooks",
    "BUILD_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-build",
    "RELEASE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:sluice-release",
    "BUILD_REQUESTS_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/sluice-build-requests",
}


@dataclass(frozen=True)
class LambdaContext:
    """What powertools reads of the real one."""

    function_name: str = "function"
    memory_limit_in_mb: str = "256"
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@cache
def load_function(name: str) -> ModuleType:
    """The module `functions/<name>/app.py`, under a name of its own since each is called `app`."""
    spec = importlib.util.spec_from_file_location(f"functions_{name}", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def invoked(name: str, event: Any) -> Any:
    """Call the function's handler as Lambda would."""
    return load_function(name).lambda_handler(json.loads(json.dumps(event)), LambdaContext())
