"""The environment the functions expect, and an account of fakes behind their ports."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

import fakes

pytest.register_assert_rewrite("catalog_contract")
ROOT = Path(__file__).parent.parent
# How long an example takes is the machine's matter. `make unit` tries few, `make properties` all of them.
settings.register_profile("few", deadline=None, max_examples=20)
settings.register_profile("all", deadline=None, max_examples=100)
settings.load_profile("few")

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


# A worker that collects thousands of tests makes hardly any garbage, and what it has collected stays.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    # DuckDB complains at the end of a process about what it cannot free.
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker ends up alone with one of them."""
    tests = Counter(item.path for item in items)
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: (item.path not in long, -tests[item.path]))


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pauses goes on at once, but for ministack's own threads: they would do nothing else then."""

    def rest(seconds: float, really: Callable[[float], None] = time.sleep) -> None:
        if threading.current_thread().daemon:
            really(seconds)

    monkeypatch.setattr("time.sleep", rest)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> fakes.Cloud:
    """An account in memory, which every function is wired to."""
    from sluice import wiring

    account = fakes.Cloud()
    monkeypatch.setattr(wiring, "cloud", lambda: account)
    return account


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


@pytest.fixture
def invoke() -> Callable[[str, Any], Any]:
    """`invoke("record_arrival", event)` calls the function's handler as Lambda would."""

    def call(name: str, event: Any) -> Any:
        return load_function(name).lambda_handler(json.loads(json.dumps(event)), LambdaContext())

    return call


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """`sample("record_arrival")` is the function's sample event in `events/`."""

    def read(name: str) -> Any:
        return json.loads((ROOT / "events" / f"{name}.json").read_text())

    return read
