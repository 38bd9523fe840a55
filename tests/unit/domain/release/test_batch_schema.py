"""What is to be scored is checked before it costs a transform job."""

from __future__ import annotations

from typing import Any

import pytest

import smallest
from sluice.domain import config
from sluice.domain.release import batch_schema

SCHEMA = (
    "{y: {type: integer}, x: {type: number, required: true}, n: {type: integer}, t: {type: string}, "
    "b: {type: boolean}}"
)
RELEASE = "release: {stages: [{name: production, traffic: {type: all_at_once, bake_s: 0}}]}\n"


def pipeline(kind: str, batch: str) -> str:
    serve = f"{{script: src/inference.py, sample: sample, content_type: {kind}, compute: {{batch: {batch}}}}}"
    return smallest.pipeline(SCHEMA, serve=serve, more=RELEASE)


def fault(data: bytes, kind: str = "text/csv", *, is_whole: bool = True, extra: str = "") -> str | None:
    text = pipeline(kind, "{}") + extra
    return batch_schema.fault(data, config.load(text), is_whole=is_whole)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"1.5,2,good,true\n-1e3,,,\n", "text/csv"),
        (b"x,n,t,b\n1,2,3,false\n", "text/csv"),
        (b'{"x": 1, "n": 2}\n{"x": 2.5, "t": "good", "b": true}\n', "application/json"),
        (b"[[1, 2, null, false]]", "application/json"),
    ],
)
def test_rows_of_a_request_are_scored(data: bytes, kind: str) -> None:
    assert fault(data, kind) is None


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"1.5,2\n", "text/csv", "it has lines of 2 values, and 4 columns are expected"),
        (b"1,2,a,true\nfive,2,a,true\n", "text/csv", "row 2: x is 'five', and no number"),
        (b"1,2.5,a,true\n", "text/csv", "row 1: n is '2.5', and no integer"),
        (b"1,2,a,maybe\n", "text/csv", "row 1: b is 'maybe', and no boolean"),
        (b",2,a,true\n", "text/csv", "row 1: x is missing"),
        (b'{"n": 1}\n', "application/json", "row 1: x is missing"),
        (b'{"x": true}\n', "application/json", "row 1: x is 'True', and no number"),
        (b"<html>", "application/json", "it is neither JSON nor JSON lines"),
    ],
)
def test_others_are_set_aside_with_the_row_that_shows_it(data: bytes, kind: str, reason: str) -> None:
    assert fault(data, kind) == reason


def test_the_line_that_a_part_ends_in_is_not_judged() -> None:
    assert fault(b"1,2,a,true\n1,2", is_whole=False) is None
    assert fault(b"1,2,a,true\n1,2") is not None


def test_the_columns_are_those_that_are_watched() -> None:
    watched = "monitor: {request: {columns: [n, x]}, quality: {metric: accuracy}}\n"
    assert fault(b"1,2.5\n", extra=watched) is None
    assert fault(b"2.5,1\n", extra=watched) == "row 1: n is '2.5', and no integer"


@pytest.mark.parametrize(
    ("kind", "batch", "is_checked"),
    [
        ("text/csv", "{}", True),
        ("application/json", "{}", True),
        ("application/x-image", "{}", False),
        ("text/csv", "{split: none}", False),
        ("text/csv", "{checked: false}", False),
    ],
)
def test_what_has_no_rows_or_need_not_be_checked_is_not(kind: str, batch: str, is_checked: bool) -> None:
    text = pipeline(kind, batch)
    assert batch_schema.checks(config.load(text)) == is_checked


def test_a_project_without_an_endpoint_alone_scores_files() -> None:
    text = pipeline("text/csv", "{}").replace("compute: {batch: {}}", "compute: {}")
    loaded: Any = config.load(text)
    assert not batch_schema.checks(loaded)
