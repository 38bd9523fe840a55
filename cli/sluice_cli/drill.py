"""Make a live model fail while someone uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from sluice_cli.target import Target
from sluice_local import control

FAULT_TRAFFIC_PER_S = 25


class faults:
    """While entered, requests to one endpoint config's fleet fail as if its container had failed."""

    def __init__(self, target: Target, endpoint_name: str, endpoint_config: str) -> None:
        self.endpoint_url = str(target.endpoint_url)
        self.fault = {
            "endpoint": endpoint_name,
            "endpoint_config": endpoint_config,
            "status": 500,
            "share": 1.0,
        }

    def __enter__(self) -> None:
        control.ask(self.endpoint_url, "faults", "POST", self.fault)

    def __exit__(self, *_: object) -> None:
        control.ask(self.endpoint_url, "faults", "DELETE")


class traffic:
    """While entered, someone uses the endpoint."""

    def __init__(self, target: Target, ask: Callable[[], object]) -> None:
        self.target = target
        self.ask = ask
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _run(self) -> None:
        client = self.target.client("sagemaker-runtime")
        while not self.ended.wait(1 / FAULT_TRAFFIC_PER_S):
            with suppress(client.exceptions.ModelError):
                self.ask()
