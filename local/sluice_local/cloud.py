"""Start, use and stop a local cloud from another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0


class LocalCloudError(RuntimeError):
    """The local cloud did not start; the message ends with its log."""


class LocalCloud:
    """A local cloud in its own process, for the length of a `with` block."""

    def __init__(self, state_dir: Path, *options: str) -> None:
        """Pass `options`, such as `--auth`, to `python -m sluice_local`."""
        self.state_dir = state_dir
        self.options = options
        self.endpoint_url = ""
        self.account = ""
        self.region = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """The file of the cloud's output."""
        return self.state_dir / "host.log"

    @property
    def pid(self) -> int:
        """The guardian's process id: a signal to it ends the cloud."""
        assert self._process is not None, "the local cloud was not started"  # noqa: S101
        return self._process.pid

    def start(self) -> Self:
        """Start the process and wait until it answers."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sluice_local", "--state-dir", str(self.state_dir), *self.options]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while (ready := self._ready()) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LocalCloudError(f"the local cloud did not start:\n{self.log_file.read_text()[-4000:]}")
            time.sleep(0.02)
        self.endpoint_url, self.account, self.region = (
            ready["endpoint_url"],
            ready["account"],
            ready["region"],
        )
        return self

    def _ready(self) -> dict[str, Any] | None:
        """Return the ready file's content, once it is this cloud's."""
        with suppress(OSError, ValueError):
            ready: dict[str, Any] = json.loads((self.state_dir / "ready.json").read_text())
            return ready if ready["pid"] == self.pid else None
        return None

    def stop(self) -> None:
        """End the cloud and everything it started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the settings of an AWS client for the cloud."""
        return os.environ | {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def client(self, service: Any, **options: Any) -> Any:
        """Make a boto3 client of the cloud, for the root user unless credentials are given."""
        import boto3

        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        target = {"endpoint_url": self.endpoint_url, "region_name": self.region}
        return boto3.client(service, **{**target, **credentials, **options})

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
