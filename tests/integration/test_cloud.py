"""The cloud of the functions: what their environment says, and each part made at its first use."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event, Lock
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

import asl
import fakes
from sluice import ports
from sluice.adapters.cloud import AwsCloud
from sluice_cli.target import Target

ROOT = Path(__file__).parents[2]
PARTS = [name for name, member in inspect.getmembers(ports.Cloud) if isinstance(member, property)]


@pytest.mark.parametrize("part", PARTS)
def test_the_functions_and_the_tests_have_every_part_of_a_cloud(part: str) -> None:
    assert getattr(AwsCloud(os.environ), part) is not None
    assert getattr(fakes.Cloud(), part) is not None


def test_the_environment_of_the_tests_and_the_fakes_are_of_one_stack() -> None:
    of_environment, of_tests = AwsCloud(os.environ), fakes.Cloud()
    for part in ("stack_name", "region", "data_bucket", "artifact_bucket", "account", "safeguards"):
        assert getattr(of_environment, part) == getattr(of_tests, part)


def test_a_part_is_made_once_and_parts_of_one_service_share_its_client() -> None:
    asked: list[str] = []

    def client(service: str) -> object:
        asked.append(service)
        return object()

    cloud = AwsCloud(os.environ, client)
    assert cloud.catalog is cloud.catalog
    assert cloud.registry is not None
    assert cloud.endpoints is not None
    assert asked == ["dynamodb", "sagemaker"]


SERVICES = {"catalog": "dynamodb", "objects": "s3", "registry": "sagemaker", "endpoints": "sagemaker"}


def of_functions(make: Callable[..., object]) -> Callable[[str], object]:
    cloud = AwsCloud(os.environ, make)
    return lambda part: getattr(cloud, part)


def of_commands(make: Callable[..., object]) -> Callable[[str], object]:
    session: Any = SimpleNamespace(client=make)
    target = Target("sluice", session)
    return lambda part: target.client(SERVICES[part])


@pytest.mark.parametrize("of", [of_functions, of_commands])
def test_clients_are_made_one_at_a_time_whoever_asks_first(
    of: Callable[[Callable[..., object]], Callable[[str], object]],
) -> None:
    making, asked, everybody = Lock(), list[str](), Barrier(4)

    def make(service: str, **_: object) -> object:
        assert making.acquire(blocking=False), "a session makes one client at a time"
        asked.append(service)
        Event().wait(0.01)
        making.release()
        return object()

    made = of(make)

    def ask(part: str) -> object:
        everybody.wait(30)
        return made(part)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, SERVICES))
    assert sorted(asked) == ["dynamodb", "s3", "sagemaker"]


def test_commands_reach_what_they_show_by_what_the_stack_puts_out() -> None:
    # The build machine tells the account and the region.
    outputs = {
        name: f"arn:aws:states:eu-central-1:111122223333:stateMachine:{name}"
        for name in asl.load_template(ROOT / "template.yaml")["Outputs"]
    }
    target = Target("sluice", boto3.Session(region_name="eu-central-1"), "http://127.0.0.1:1")
    target.__dict__["_described"] = {
        "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()]
    }
    for part in ("catalog", "objects", "registry", "endpoints", "alarms"):
        assert getattr(target.cloud, part) is not None


def test_wiring_imports_no_client_before_it_is_used() -> None:
    script = "import sys; from sluice import wiring; wiring.cloud(); print('botocore' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "layers" / "common")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
