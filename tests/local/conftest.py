"""One local cloud for the whole session; tests keep apart by the names of their resources."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from sluice_local.cloud import LocalCloud


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--endpoint", help="ask this URL, or 'aws' for the account at hand, in place of a local cloud"
    )


class Endpoint:
    """Clients of an endpoint that is there already, by the credentials at hand."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def client(self, service: Any, **options: Any) -> Any:
        return boto3.client(service, endpoint_url=self._url, **options)


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running local cloud without IAM enforcement, or the endpoint that was named."""
    if endpoint := request.config.getoption("--endpoint"):
        yield Endpoint(None if endpoint == "aws" else endpoint)
        return
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def auth_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running local cloud that enforces the policies of roles."""
    with LocalCloud(tmp_path_factory.mktemp("auth-cloud"), "--auth") as running:
        yield running


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name no other test uses, with the given prefix."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}"
