"""Follow logs while they are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice_cli.target import Target

POLL_S = 1.0
# CloudWatch shows the last lines a moment after the job's end.
_LAST_LOOKS = 3
_PAGES_MAX = 20


@dataclass(frozen=True, slots=True)
class Source:
    """A log: a group, or of a group the streams that begin with a prefix."""

    name: str
    group: str
    prefix: str = ""


@dataclass(slots=True)
class Reader:
    """Reads of each stream what is new since it read last."""

    target: Target
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def new_lines(self, source: Source) -> Iterator[str]:
        """Yield the lines that are new, of each stream in order."""
        logs = self.target.client("logs")
        chosen = {"logStreamNamePrefix": source.prefix} if source.prefix else {}
        try:
            found = logs.describe_log_streams(logGroupName=source.group, **chosen)["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return
        for stream in found:
            yield from self._of_stream(logs, source.group, stream["logStreamName"])

    def _of_stream(self, logs: Any, group: str, stream: str) -> Iterator[str]:
        for _ in range(_PAGES_MAX):
            token = self._tokens.get((group, stream))
            page = logs.get_log_events(
                logGroupName=group,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            yield from (event["message"].rstrip("\n") for event in page["events"])
            self._tokens[group, stream] = page["nextForwardToken"]
            if not page["events"] or page["nextForwardToken"] == token:
                return


def follow(
    target: Target,
    sources: Callable[[], Sequence[Source]],
    is_over: Callable[[], bool],
    say: Callable[[str, str], None],
    poll_s: float = POLL_S,
) -> None:
    """Tell each line as `say(name, line)` until it is over, and what comes shortly after that.

    `sources` is asked each time: a run's jobs start one after the other.
    """
    reader, looks_left = Reader(target), _LAST_LOOKS
    while looks_left:
        # Ask first: what was written before the end is read after it.
        if is_over():
            looks_left -= 1
        for source in sources():
            for line in reader.new_lines(source):
                say(source.name, line)
        if looks_left:
            time.sleep(poll_s)
