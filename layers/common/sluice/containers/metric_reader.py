"""Run as a script: read numbers in lines by a user's regular expressions, within time limits.

    python -I -S metric_reader.py SECONDS_A_LINE SECONDS_IN_ALL

It is a separate process because a match blocks all threads of a process. The first line of standard input has
the expressions as a JSON list; each further line is a JSON list of lines. The answer to each is
`{"values": [[expression, number], ...], "slow": [[expression, line's length], ...]}`, with expressions by
index. A slow expression is given up.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
import time

_MEMORY_BYTES = 1 << 30


class _SlowError(Exception):
    """An expression took too much CPU time."""


def main(line_s: float, total_s: float) -> None:
    """Answer until standard input is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    signal.signal(signal.SIGVTALRM, _interrupt)
    expressions = {
        index: _Expression(text, total_s) for index, text in enumerate(json.loads(sys.stdin.readline()))
    }
    for request in sys.stdin:
        lines = json.loads(request)
        values: list[tuple[int, float]] = []
        slow: list[tuple[int, int]] = []
        for index, expression in list(expressions.items()):
            for line in lines:
                try:
                    values += [(index, value) for value in expression.values(line, line_s)]
                except (_SlowError, MemoryError):
                    del expressions[index]
                    slow.append((index, len(line)))
                    break
        print(json.dumps({"values": values, "slow": slow}), flush=True)


class _Expression:
    def __init__(self, text: str, left_s: float) -> None:
        self._text = text
        self._left_s = left_s

    def values(self, line: str, line_s: float) -> list[float]:
        """Return the numbers in the first group; raises _SlowError, as `re` checks for signals."""
        started = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, min(line_s, self._left_s))
        try:
            return [value for match in re.finditer(self._text, line) if (value := _number(match)) is not None]
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self._left_s = max(0.001, self._left_s - (time.process_time() - started))


def _number(match: re.Match[str]) -> float | None:
    try:
        return float(match[1])
    except (IndexError, TypeError, ValueError):  # no group, not matched, or no number
        return None


def _interrupt(*_: object) -> None:
    raise _SlowError


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
