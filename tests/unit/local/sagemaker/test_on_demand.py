"""A serverless variant's server runs while somebody asks, and no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sluice_local.sagemaker.hosting.launcher import HostingError, ModelServer, NotServingError, Reply
from sluice_local.sagemaker.hosting.on_demand import OnDemandServer, Serverless, ThrottledError

IDLE_S = 0.1


class FakeServer:
    """A model server whose answers wait for `gate`."""

    spec = SimpleNamespace(endpoint="e")
    deployed_image = {"SpecifiedImage": "image"}  # noqa: RUF012 - read only

    def __init__(self, gate: threading.Event, *, is_healthy: bool = True) -> None:
        self.gate = gate
        self.is_healthy = is_healthy
        self.is_running = True
        self._pool = ThreadPoolExecutor(4)

    def wait_until_healthy(self, cancelled: threading.Event) -> None:
        if not self.is_healthy:
            raise HostingError("it does not load")

    def submit(self, body: bytes, headers: Mapping[str, str]) -> Future[Reply]:
        assert self.is_running

        def answer() -> Reply:
            self.gate.wait()
            return Reply(200, {}, body, 0.0)

        return self._pool.submit(answer)

    def stop(self) -> None:
        self._pool.shutdown()
        self.is_running = False


class Started:
    """The servers that were started; the gate is open unless a test closes it."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.servers: list[FakeServer] = []
        self.is_healthy = True

    def __call__(self) -> ModelServer:
        self.servers.append(FakeServer(self.gate, is_healthy=self.is_healthy))
        return cast("ModelServer", self.servers[-1])

    @property
    def running(self) -> int:
        return sum(server.is_running for server in self.servers)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def server(started: Started) -> OnDemandServer:
    made = OnDemandServer(started, Serverless(1024, 2), IDLE_S)
    made.wait_until_healthy(threading.Event())
    return made


def test_it_runs_from_the_first_request_until_none_came_for_a_while(
    started: Started, server: OnDemandServer
) -> None:
    assert started.running == 0
    first = server.submit(b"a", {}).result()
    assert (first.body, started.running) == (b"a", 1)
    assert first.setup_s > 0
    assert server.submit(b"b", {}).result().setup_s == 0
    assert len(started.servers) == 2
    until(lambda: started.running == 0)
    assert server.submit(b"c", {}).result().body == b"c"
    server.stop()


def test_a_server_that_answers_is_not_idle(started: Started, server: OnDemandServer) -> None:
    started.gate.clear()
    pending = server.submit(b"a", {})
    time.sleep(IDLE_S * 2)
    assert started.running == 1
    started.gate.set()
    assert pending.result().status == 200
    server.stop()


def test_requests_beyond_the_concurrency_are_throttled(started: Started, server: OnDemandServer) -> None:
    started.gate.clear()
    pending = [server.submit(b"a", {}) for _ in range(2)]
    with pytest.raises(ThrottledError):
        server.submit(b"b", {})
    started.gate.set()
    assert [each.result().status for each in pending] == [200, 200]
    until(lambda: server.submit(b"c", {}).result().status == 200)
    assert len(started.servers) == 2
    server.stop()


def test_a_server_that_does_not_start_is_no_answer_and_does_not_stay(
    started: Started, server: OnDemandServer
) -> None:
    started.is_healthy = False
    reply = server.submit(b"a", {}).result()
    assert (reply.status, reply.body) == (0, b"it does not load")
    assert started.running == 0
    started.is_healthy = True
    assert server.submit(b"a", {}).result().status == 200
    server.stop()


def test_a_model_that_does_not_load_leaves_nothing_running(started: Started) -> None:
    started.is_healthy = False
    broken = OnDemandServer(started, Serverless(1024, 1), IDLE_S)
    with pytest.raises(HostingError):
        broken.wait_until_healthy(threading.Event())
    assert started.running == 0


def test_once_it_is_stopped_it_takes_and_runs_nothing(started: Started, server: OnDemandServer) -> None:
    server.submit(b"a", {}).result()
    server.stop()
    assert started.running == 0
    with pytest.raises(NotServingError):
        server.submit(b"b", {})
