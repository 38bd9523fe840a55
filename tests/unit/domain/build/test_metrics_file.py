"""metrics.json gives numbers, and any other content a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.domain.build import metrics_file, projects

PATH = "/opt/ml/output/data/metrics.json"


def read(content: bytes | None, *wanted: str) -> metrics_file.Reported:
    files = {"other.txt": b"x"} | ({} if content is None else {"metrics.json": content})
    return metrics_file.read([projects.pack(files)], wanted)


def test_wanted_numbers_are_read_and_others_are_not() -> None:
    reported = read(b'{"accuracy": 0.9, "loss": 1, "other": 3}', "accuracy", "loss", "f1")
    assert reported == metrics_file.Reported({"accuracy": 0.9, "loss": 1.0})


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_a_number_that_is_not_finite_is_none(value: str) -> None:
    assert read(f'{{"accuracy": {value}}}'.encode(), "accuracy").metrics == {"accuracy": None}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, f"the script wrote no {PATH}"),
        (b"", f"{PATH} is no JSON"),
        (b"\xff", f"{PATH} is no JSON"),
        (b"[" * 100_000, f"{PATH} is no JSON"),
        (b"[1]", f"{PATH} is no JSON object of numbers"),
        (b'{"accuracy": "high"}', f"accuracy in {PATH} is no number"),
        (b'{"accuracy": true}', f"accuracy in {PATH} is no number"),
        (json.dumps({"x": "y" * 300_000}).encode(), f"{PATH} has more than 262144 bytes"),
    ],
)
def test_other_content_is_a_problem(content: bytes | None, problem: str) -> None:
    reported = read(content, "accuracy")
    assert not reported.metrics
    assert str(reported.problem).startswith(problem)


@pytest.mark.parametrize("data", [b"", b"plain text"])
def test_what_is_no_archive_is_a_problem(data: Any) -> None:
    problem = metrics_file.read([data], ["accuracy"]).problem
    assert "output.tar.gz, where metrics.json is expected, cannot be read" in str(problem)
