"""Without a network a command says what it waits for, and ends soon; once AWS has answered, it is patient."""

from __future__ import annotations

import threading
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, SSLError
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader, create_loader

from sluice_cli import first_contact
from sluice_cli.first_contact import FirstContact

ANSWER = b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"


class Network:
    """Answers requests, or does not."""

    def __init__(self) -> None:
        self.error: Exception | None = EndpointConnectionError(endpoint_url="https://sts")
        self.requests = 0
        self.holds_up = threading.Event()
        self.holds_up.set()

    def send(self, request: Any) -> Any:
        self.requests += 1
        assert self.holds_up.wait(60)
        if self.error is not None:
            raise self.error
        return AWSResponse(request.url, 200, HTTPHeaders(), Raw())


class Raw:
    def stream(self) -> Any:
        yield ANSWER


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network()
    monkeypatch.setattr(URLLib3Session, "send", lambda _, request: made.send(request))
    return made


@pytest.fixture(scope="module")
def models() -> Loader:
    """The models of AWS's services, read once."""
    return create_loader()


@pytest.fixture
def sts(models: Loader) -> Any:
    core = botocore.session.get_session()
    core.register_component("data_loader", models)
    session = boto3.Session("key", "secret", region_name="eu-central-1", botocore_session=core)
    FirstContact(session)
    return session.client("sts", config=Config(retries={"mode": "standard", "max_attempts": 5}))


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://sts"),
        ConnectTimeoutError(endpoint_url="https://sts"),
        SSLError(endpoint_url="https://sts", error=ValueError("another's certificate")),
    ],
)
def test_what_cannot_be_reached_is_tried_twice(network: Network, sts: Any, error: Exception) -> None:
    network.error = error
    with pytest.raises(type(error)):
        sts.get_caller_identity()
    assert network.requests == 2


def test_what_has_answered_is_waited_for(network: Network, sts: Any) -> None:
    network.error = None
    sts.get_caller_identity()
    network.error = EndpointConnectionError(endpoint_url="https://sts")
    with pytest.raises(EndpointConnectionError):
        sts.get_caller_identity()
    assert network.requests == 1 + 6


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_is_told_what_is_waited_for(
    network: Network, sts: Any, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    lines: list[str] = []

    class Err:
        def __init__(self) -> None:
            self.is_terminal = is_terminal

        def print(self, line: str) -> None:
            lines.append(line)
            network.holds_up.set()

    monkeypatch.setattr(first_contact, "err", Err())
    monkeypatch.setattr(first_contact, "SILENT_S", 0.0)
    network.error = None
    if is_terminal:
        network.holds_up.clear()
    sts.get_caller_identity()
    assert lines == (
        ["[dim]waiting for an answer of sts.eu-central-1.amazonaws.com[/]"] if is_terminal else []
    )
