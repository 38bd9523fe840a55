"""The process that reads metrics in a job's log: as `re` does, and no longer than it may."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from sluice.containers import metric_reader


def read(expressions: list[str], *batches: list[str], line_s: float = 0.2, total_s: float = 1.0) -> list[Any]:
    """What the process answers to each batch of lines."""
    command = [sys.executable, "-I", "-S", metric_reader.__file__, str(line_s), str(total_s)]
    asked = "".join(json.dumps(item) + "\n" for item in (expressions, *batches))
    done = subprocess.run(command, input=asked.encode(), capture_output=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_finds_what_re_finds() -> None:
    lines = ["loss: 0.5 acc=1e-3", "nothing", "loss: 0.25", "loss: x", "acc=", "acc=7E-05"]
    assert read([r"loss: (\S+)", r"acc=(\S*)", r"loss: \S+", r"(?P<n>\d+)(?<=5)"], lines) == [
        {"values": [[0, 0.5], [0, 0.25], [1, 0.001], [1, 7e-05], [3, 5.0], [3, 25.0], [3, 5.0]], "slow": []}
        | {"values": [[0, 0.5], [0, 0.25], [1, 0.001], [1, 7e-05], [3, 5.0], [3, 25.0], [3, 5.0]]}
    ]


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        (r"acc: (?:a+)+([0-9])", "acc: " + "a" * 32 + "!"),
        (r"((a|a)*)b", "a" * 40),
        (r"(\w+\s?)+:", "word " * 40 + "!"),
        (r"(.*)(.*)(.*)(.*)(.*)x", "a" * 20_000),
    ],
)
def test_an_expression_that_tries_for_ever_is_given_up_and_the_others_are_read(
    expression: str, line: str
) -> None:
    started = time.monotonic()
    first, second = read([expression, r"loss: (\d+)"], [line, "loss: 1"], [line, "loss: 2"])
    assert time.monotonic() - started < 60
    assert first == {"values": [[1, 1.0]], "slow": [[0, len(line)]]}
    assert second == {"values": [[1, 2.0]], "slow": []}


def test_an_expression_that_is_slow_on_every_line_has_a_limit_too() -> None:
    line = "a" * 18 + "!"
    [answer] = read([r"(?:a+)+([0-9])"], [line] * 10_000, line_s=0.5, total_s=0.5)
    assert answer["slow"] == [[0, len(line)]]
