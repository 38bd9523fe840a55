"""Serve a serverless variant: a server only while somebody asks, and so many requests at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sluice_local.sagemaker.hosting.launcher import HostingError, ModelServer, NotServingError, Reply

MEMORY_MB = range(1024, 6145, 1024)
MAX_CONCURRENCY = 200
# AWS keeps what a request started for some minutes, and says not how many.
IDLE_S = 60.0


class ThrottledError(Exception):
    """As many requests as the variant takes are being answered."""


@dataclass(frozen=True, slots=True)
class Serverless:
    """A variant's `ServerlessConfig`."""

    memory_mb: int
    max_concurrency: int

    @classmethod
    def parse(cls, config: Mapping[str, Any] | None) -> Serverless | None:
        """Parse a variant's `ServerlessConfig`; None if it has none."""
        return cls(config["MemorySizeInMB"], config["MaxConcurrency"]) if config else None

    def describe(self) -> dict[str, int]:
        """Describe it as DescribeEndpoint does."""
        return {"MemorySizeInMB": self.memory_mb, "MaxConcurrency": self.max_concurrency}


class OnDemandServer:
    """Starts a model server for the first request, and stops it when none came for a while."""

    def __init__(self, start: Callable[[], ModelServer], limits: Serverless, idle_s: float = IDLE_S) -> None:
        """Start a first server, which `wait_until_healthy` stops again; raises HostingError."""
        self._start = start
        self._limits = limits
        self._idle_s = idle_s
        self._server: ModelServer | None = start()
        self.spec = self._server.spec
        self.deployed_image = self._server.deployed_image
        self._requests = ThreadPoolExecutor(MAX_CONCURRENCY, f"{self.spec.endpoint}-on-demand")
        self._cancelled = threading.Event()
        self._waking = threading.Lock()
        self._counting = threading.Condition()
        self._in_flight = 0
        self._used_at = 0.0

    def wait_until_healthy(self, cancelled: threading.Event) -> None:
        """Prove that the model can be served, and leave nothing running; raises HostingError."""
        self._cancelled = cancelled
        try:
            if self._server:
                self._server.wait_until_healthy(cancelled)
        finally:
            self._sleep()
        threading.Thread(target=self._watch, name=f"idle-{self.spec.endpoint}", daemon=True).start()

    def limit(self, limits: Serverless) -> None:
        """Take more or fewer requests at a time from now on."""
        with self._counting:
            self._limits = limits

    def submit(self, body: bytes, headers: Mapping[str, str]) -> Future[Reply]:
        """Answer a request; raises ThrottledError, and NotServingError once it is stopping."""
        with self._counting:
            if self._in_flight >= self._limits.max_concurrency:
                raise ThrottledError
            self._in_flight += 1
        try:
            return self._requests.submit(self._answer, body, headers)
        except RuntimeError as error:
            self._done()
            raise NotServingError from error

    def stop(self) -> None:
        """Answer pending requests and stop what runs."""
        self._requests.shutdown()
        with self._counting:
            self._idle_s = 0.0
            self._counting.notify()
        self._sleep()

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        started = time.perf_counter()
        try:
            server, was_started = self._awake()
            setup_s = time.perf_counter() - started if was_started else 0.0
            return replace(server.submit(body, headers).result(), setup_s=setup_s)
        except HostingError as error:
            return Reply(0, {}, str(error).encode(), time.perf_counter() - started)
        finally:
            self._done()

    def _awake(self) -> tuple[ModelServer, bool]:
        """Return the server, and whether it was started for this request."""
        with self._waking:
            if self._server is not None:
                return self._server, False
            server = self._start()
            try:
                server.wait_until_healthy(self._cancelled)
            except HostingError:
                server.stop()
                raise
            self._server = server
            return server, True

    def _done(self) -> None:
        with self._counting:
            self._in_flight -= 1
            self._used_at = time.monotonic()

    def _watch(self) -> None:
        """Stop the server whenever no request came for `idle_s`, until all is stopped."""
        while not self._cancelled.is_set():
            with self._counting:
                self._counting.wait(self._idle_s / 4)
                if not self._idle_s:
                    return
                is_idle = not self._in_flight and time.monotonic() - self._used_at > self._idle_s
            if is_idle:
                self._sleep()

    def _sleep(self) -> None:
        """Stop the server if it runs. A request that comes meanwhile waits, and starts another one."""
        with self._waking:
            server, self._server = self._server, None
            if server is not None:
                server.stop()
