"""What makes a live model fail while somebody uses it."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from sluice_cli.target import Target

FAULT_TRAFFIC_PER_S = 25


class faults:
    """While entered, requests that reach one endpoint config's fleet fail as if its container had."""

    def __init__(self, target: Target, endpoint_name: str, endpoint_config: str) -> None:
        self.url = f"{target.endpoint_url}/_local/faults"
        self.fault = {
            "endpoint": endpoint_name,
            "endpoint_config": endpoint_config,
            "status": 500,
            "share": 1.0,
        }

    def __enter__(self) -> None:
        self._request("POST", json.dumps(self.fault).encode())

    def __exit__(self, *_: object) -> None:
        self._request("DELETE", None)

    def _request(self, method: str, body: bytes | None) -> None:
        request = urllib.request.Request(self.url, data=body, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


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
