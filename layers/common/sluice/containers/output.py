"""Follow a container's output: write its lines, keep the last, and read metrics in them."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from sluice.containers import metric_reader

_TAIL_LINES = 200
_READ_BYTES = 1 << 16
_LOOK_AGAIN_MS = 250
_LAST_WORDS_S = 5.0
# CloudWatch's limit of an event.
_LONGEST_LINE_BYTES = 256 * 1024
# CPU time to read a metric on one line, and on all lines of a job.
_LINE_TIMEOUT_S = 1.0
_METRIC_TIMEOUT_S = 10.0
_READER_TIMEOUT_S = 60.0


class Metrics:
    """The metrics that a job's `MetricDefinitions` find in its log; the last value of each counts.

    A separate process reads them: a user's regular expression may run for hours and block all threads.
    """

    def __init__(
        self,
        definitions: Iterable[Mapping[str, str]],
        now: Callable[[], Any],
        publish: Callable[[str, float], None] = lambda name, value: None,
    ) -> None:
        """`publish` gets each value with its metric's name; `now` gives the `Timestamp`."""
        self._now = now
        self._publish_value = publish
        self._definitions = [(definition["Name"], definition["Regex"]) for definition in definitions]
        self._final: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._reader: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> set[int]:
        """Of the process that reads them, if there is one."""
        return {self._reader.pid} if self._reader else set()

    def read(self, lines: Sequence[str]) -> list[str]:
        """Publish all values in the lines; returns messages about those not read."""
        with self._lock:  # the instances of a job share it
            if not self._definitions or not lines:
                return []
            try:
                answer = self._ask(lines)
            except (OSError, ValueError):
                self._definitions = []
                return [
                    "The metrics of this job are read no further: their regular expressions take too long."
                ]
            for index, value in answer["values"]:
                self._publish(self._definitions[index][0], value)
            return [self._complaint(index, length) for index, length in answer["slow"]]

    def final(self) -> list[dict[str, Any]]:
        """Return the `FinalMetricDataList`; nothing is read afterwards."""
        with self._lock:
            if self._reader is not None:
                self._reader.kill()
                self._reader.communicate()
            return list(self._final.values())

    def _ask(self, lines: Sequence[str]) -> dict[str, Any]:
        """Ask the reader; raises OSError or ValueError if it does not answer in time."""
        reader = self._reader = self._reader or self._started()
        assert reader.stdin is not None  # noqa: S101 - both are pipes
        assert reader.stdout is not None  # noqa: S101
        reader.stdin.write(json.dumps(list(lines)).encode() + b"\n")
        reader.stdin.flush()
        if not select.select([reader.stdout], [], [], _READER_TIMEOUT_S)[0]:
            reader.kill()
            raise TimeoutError
        answer: dict[str, Any] = json.loads(reader.stdout.readline())
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        limits = (str(_LINE_TIMEOUT_S), str(_METRIC_TIMEOUT_S))
        command = [sys.executable, "-I", "-S", metric_reader.__file__, *limits]
        # Other processes of the same user, as a script's, can read its variables: it gets none.
        reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
        assert reader.stdin is not None  # noqa: S101
        reader.stdin.write(json.dumps([text for _, text in self._definitions]).encode() + b"\n")
        return reader

    def _publish(self, name: str, value: float) -> None:
        self._final[name] = {"MetricName": name, "Value": value, "Timestamp": self._now()}
        self._publish_value(name, value)

    def _complaint(self, index: int, length: int) -> str:
        name, text = self._definitions[index]
        return (
            f"Metric {name} is read no further: its regex {text} takes too long on a line of {length} "
            "characters. Nested repetitions, as in (a+)+, try every way to match."
        )


class Transcript:
    """Follows a container's output to its end, and remembers the last lines."""

    def __init__(self, write: Callable[[Sequence[str]], None], metrics: Metrics | None = None) -> None:
        """`write` gets the lines as they come."""
        self._write = write
        self._metrics = metrics
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def follow(self, output: IO[bytes], has_ended: Callable[[], bool]) -> None:
        """Record lines as they come, until the output is closed or nobody is left to write."""
        rest = b""
        with output:
            for data in _read(output.fileno(), has_ended):
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) >= _LONGEST_LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                self._record(lines)
        self._record([rest] if rest else [])

    def following(self, output: IO[bytes], has_ended: Callable[[], bool]) -> threading.Thread:
        """Follow the output in a thread of its own."""
        thread = threading.Thread(target=self.follow, args=(output, has_ended), daemon=True)
        thread.start()
        return thread

    def note(self, line: str) -> None:
        """Add a line of the platform."""
        self._write([line])
        self._tail.append(line)

    def tail(self, lines: int) -> list[str]:
        """Return the last lines."""
        return list(self._tail)[-lines:]

    def traceback(self) -> str:
        """Return the last Python traceback in the output, if any."""
        text = "\n".join(self._tail)
        start = text.rfind("Traceback (most recent call last):")
        return text[start:].strip() if start >= 0 else ""

    def _record(self, raw: Iterable[bytes]) -> None:
        lines = [line.decode("utf-8", errors="replace").rstrip("\r") for line in raw]
        self._write(lines)
        self._tail.extend(lines)
        if self._metrics and (said := self._metrics.read(lines)):
            self._write(said)
            self._tail.extend(said)


def _read(descriptor: int, has_ended: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the output, without waiting for processes that escaped from an ended container and hold it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    until = math.inf
    while time.monotonic() < until:
        if has_ended():
            until = min(until, time.monotonic() + _LAST_WORDS_S)
        if poll.poll(_LOOK_AGAIN_MS):
            if not (data := os.read(descriptor, _READ_BYTES)):
                return
            yield data
        elif until < math.inf:
            return
