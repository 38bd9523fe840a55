"""What a container prints: its log stream in CloudWatch Logs, and the metrics found in its lines."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs

from sluice_local.sagemaker.core import Scope, now

_TAIL_LINES = 200
_READ_BYTES = 1 << 16


class LogStream:
    """One stream of a log group; the group is made if it is not there."""

    def __init__(self, scope: Scope, group: str, stream: str) -> None:
        self._scope = scope
        self._names = {"logGroupName": group, "logStreamName": stream}
        with request_scope(scope.account, scope.region):
            cloudwatch_logs._create_log_group(self._names)
            cloudwatch_logs._create_log_stream(self._names)

    def write(self, lines: Iterable[str]) -> None:
        """Append lines, all at this moment; callable from any thread."""
        moment = int(time.time() * 1000)
        events = [{"timestamp": moment, "message": line} for line in lines]
        if events:
            with request_scope(self._scope.account, self._scope.region):
                cloudwatch_logs._put_log_events({**self._names, "logEvents": events})


class Metrics:
    """The metrics that a job's `MetricDefinitions` find in its log; the last value of each counts."""

    def __init__(self, scope: Scope, job_name: str, definitions: Iterable[Mapping[str, str]]) -> None:
        self._scope = scope
        self._dimensions = {"TrainingJobName": job_name}
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._final: dict[str, dict[str, Any]] = {}

    def read(self, lines: Iterable[str]) -> None:
        """Publish every value that the lines hold to CloudWatch."""
        for line in lines:
            for name, value in self._found(line):
                self._final[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
                with request_scope(self._scope.account, self._scope.region):
                    cloudwatch.record_metric(
                        "/aws/sagemaker/TrainingJobs", name, value, dimensions=self._dimensions
                    )

    def final(self) -> list[dict[str, Any]]:
        """The `FinalMetricDataList`."""
        return list(self._final.values())

    def _found(self, line: str) -> Iterator[tuple[str, float]]:
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    yield name, float(match[1])
                except (IndexError, TypeError, ValueError):  # no group, not matched, or no number
                    continue


class Transcript:
    """Follows a container's output to its end, and remembers the last lines."""

    def __init__(self, stream: LogStream, metrics: Metrics | None = None) -> None:
        self._stream = stream
        self._metrics = metrics
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def follow(self, output: IO[bytes]) -> None:
        """Record lines as they come; returns when the output is closed."""
        rest = b""
        with output:
            while data := os.read(output.fileno(), _READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                self._record(lines)
        self._record([rest] if rest else [])

    def traceback(self) -> str:
        """The last Python traceback that was printed, else nothing."""
        text = "\n".join(self._tail)
        start = text.rfind("Traceback (most recent call last):")
        return text[start:].strip() if start >= 0 else ""

    def _record(self, raw: Iterable[bytes]) -> None:
        lines = [line.decode("utf-8", errors="replace").rstrip("\r") for line in raw]
        self._stream.write(lines)
        self._tail.extend(lines)
        if self._metrics:
            self._metrics.read(lines)
