"""The log stream of an execution environment, written as its lines come, and the metrics embedded in them.

Ministack makes a new stream for each invocation, and never reads the embedded metric format.
"""

from __future__ import annotations

import json
import os
import select
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs
from ministack.services import lambda_svc as service

# CloudWatch's limit of an event.
_LONGEST_LINE_BYTES = 256 * 1024


class EnvironmentLog:
    """The log of an execution environment: a new stream for each process it starts."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._scope = service._account_region_from_function_config(config)
        self._memory_mb = config.get("MemorySize", 128)
        self._version = config.get("Version", "$LATEST")
        name = config["FunctionName"]
        self.group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        self.stream = ""
        self._request_id = ""
        self._lines: list[str] = []
        self._waiting: list[str] = []
        self._partial = b""
        self._reading = threading.Lock()

    def open_stream(self) -> None:
        """Open a new stream, and make the group if nothing declared it."""
        self.stream = f"{datetime.now(UTC):%Y/%m/%d}/[{self._version}]{uuid.uuid4().hex}"
        with request_scope(*self._scope):
            cloudwatch_logs._create_log_group({"logGroupName": self.group})
            cloudwatch_logs._create_log_stream({"logGroupName": self.group, "logStreamName": self.stream})
        waiting, self._waiting = self._waiting, []
        self._write(waiting)

    def close_stream(self) -> None:
        """Close the stream: what follows belongs to the next process."""
        self.stream = ""

    def start(self, request_id: str) -> None:
        """Begin the lines of an invocation."""
        self._request_id = request_id
        self._lines = []
        self.platform_line(f"START RequestId: {request_id} Version: {self._version}")

    def end(self, duration_s: float, init_s: float, peak_mb: int, error_type: str = "") -> str:
        """End an invocation's lines with the platform's report; returns all of them as one text."""
        duration_ms = max(duration_s, 0.0) * 1000
        report = [
            f"REPORT RequestId: {self._request_id}",
            f"Duration: {duration_ms:.2f} ms",
            f"Billed Duration: {int(duration_ms) + 1} ms",
            f"Memory Size: {self._memory_mb} MB",
            f"Max Memory Used: {peak_mb} MB",
        ]
        if init_s:
            report.append(f"Init Duration: {init_s * 1000:.2f} ms")
        if error_type:
            report.append(f"Status: error\tError Type: {error_type}")
        self.platform_line(f"END RequestId: {self._request_id}")
        self.platform_line("\t".join(report))
        return "\n".join(self._lines)

    def platform_line(self, line: str) -> None:
        """Log a line of the platform, or hold it back until there is a stream."""
        self._lines.append(line)
        if self.stream:
            self._write([line])
        else:
            self._waiting.append(line)

    def pump(self, stream: Any) -> None:
        """Write what the process prints, until it closes its end."""
        with stream:
            poll = select.poll()
            poll.register(stream, select.POLLIN)
            while True:
                poll.poll()
                with self._reading:
                    data = os.read(stream.fileno(), 1 << 16)
                    *lines, self._partial = (self._partial + data).split(b"\n")
                    if len(self._partial) >= _LONGEST_LINE_BYTES:
                        lines, self._partial = [*lines, self._partial], b""
                    self._record(lines)
                if not data:
                    break
            self._flush_partial()

    def wait_until_read(self, stream: Any, pump: threading.Thread) -> None:
        """Return when everything the process has printed so far is written."""
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        while poll.poll(0) and pump.is_alive():
            time.sleep(0.0005)
        self._flush_partial()

    def _flush_partial(self) -> None:
        with self._reading:
            rest, self._partial = self._partial, b""
            self._record([rest] if rest else [])

    def _record(self, raw: Iterable[bytes]) -> None:
        lines = [line.decode("utf-8", errors="replace").rstrip("\r") for line in raw]
        if lines:
            self._lines += lines
            self._write(lines)

    def _write(self, lines: list[str]) -> None:
        now_ms = int(time.time() * 1000)
        with request_scope(*self._scope):
            cloudwatch_logs._put_log_events(
                {
                    "logGroupName": self.group,
                    "logStreamName": self.stream,
                    "logEvents": [{"timestamp": now_ms, "message": line} for line in lines],
                }
            )
            for line in lines:
                if '"CloudWatchMetrics"' in line:
                    with suppress(ValueError, KeyError, TypeError):  # not in the format
                        record_embedded_metrics(json.loads(line))


def record_embedded_metrics(document: dict[str, Any]) -> None:
    """Record the metrics of a document in CloudWatch's embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for dimension_names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in dimension_names}
            for metric in directive["Metrics"]:
                values = document.get(metric["Name"], [])
                for value in values if isinstance(values, list) else [values]:
                    cloudwatch.record_metric(
                        directive["Namespace"], metric["Name"], value, metric.get("Unit", "None"), dimensions
                    )
