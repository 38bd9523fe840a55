"""Captured records become rows and predictions, whatever usual shape a request and an answer have."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from monitored import record
from sluice.domain import config
from sluice.domain.monitor import capture
from sluice.domain.monitor.capture import Shape, Traffic

SCHEMA = """    x: {type: number}
    kind: {type: string}
    y: {type: integer}
"""


def shape(text: str, monitor: str = "") -> Shape:
    start, end = text.index("    id:"), text.index("  quality:")
    changed = text[:start] + SCHEMA + text[end:]
    changed = changed.replace("label: sentiment", "label: y").replace("column: review", "column: x")
    return Shape.of(config.load(f"{changed}monitor: {{{monitor}}}\n"))


def traffic(found: Shape, *lines: str) -> Traffic:
    seen = Traffic()
    for line in lines:
        seen.add(line, found, ignored="test")
    return seen


def rows(found: Shape, request: Any, answer: Any, encoding: str = "JSON") -> list[tuple[Any, Any, Any]]:
    seen = traffic(found, record(request, answer, "a", encoding=encoding))
    assert not seen.unreadable
    return [(each.row, each.prediction, each.score) for each in seen.rows.values()]


def with_request(side: Any) -> str:
    """A record whose request is kept in this way."""
    line = json.loads(record([ONE], [1], "a"))
    line["captureData"]["endpointInput"] = side
    return json.dumps(line)


ONE, TWO = {"x": 1.5, "kind": "k"}, {"x": 2, "kind": "m"}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ([ONE, TWO], [0, 1]),
        ({"instances": [ONE, TWO]}, {"predictions": [0, 1], "model_version": "7"}),
        ({"x": [1.5, 2], "kind": ["k", "m"]}, {"predictions": [{"prediction": 0}, {"prediction": 1.0}]}),
        ([[1.5, "k"], [2, "m"]], [{"y": 0}, {"y": 1}]),
        ("\n".join(map(json.dumps, (ONE, TWO))), "0\n1\n"),
        ("\n".join(map(json.dumps, (ONE, TWO))), "0,1"),
    ],
)
def test_json_in_its_usual_shapes_has_rows(config_text: str, request_: Any, answer: Any) -> None:
    if isinstance(answer, str):
        line = json.loads(record(request_, answer, "a"))
        line["captureData"]["endpointOutput"]["encoding"] = "CSV"
        seen = traffic(shape(config_text), json.dumps(line))
        found = [(each.row, each.prediction, each.score) for each in seen.rows.values()]
    else:
        found = rows(shape(config_text), request_, answer)
    assert found == [(ONE, "0", None), (TWO, "1", None)]


@pytest.mark.parametrize("request_", ["1.5,k\n2,m\n", "kind,x\nk,1.5\nm,2\n"])
def test_csv_has_columns_by_order_or_by_name(config_text: str, request_: str) -> None:
    assert rows(shape(config_text), request_, "0,0.2\n1,0.9\n", "CSV") == [(ONE, "0", 0.2), (TWO, "1", 0.9)]


def test_one_row_needs_no_list(config_text: str) -> None:
    assert rows(shape(config_text), ONE, {"y": 1, "score": 0.7}) == [(ONE, "1", 0.7)]


def test_values_of_one_column_need_no_names(config_text: str) -> None:
    found = shape(config_text, "request: {columns: [kind]}")
    answer = {"predictions": [{"y": 1, "score": 0.7}, {"y": 0, "score": 0.1}]}
    assert rows(found, {"texts": ["k", "m"]}, answer) == [
        ({"kind": "k"}, "1", 0.7),
        ({"kind": "m"}, "0", 0.1),
    ]


def test_members_may_be_named_where_they_are_not_clear(config_text: str) -> None:
    named = "request: {rows: data}, answer: {rows: found, prediction: is, score: p}"
    request = {"data": [ONE], "options": [1, 2]}
    assert rows(shape(config_text, named), request, {"found": [{"is": 1, "p": 0.5}], "log": []}) == [
        (ONE, "1", 0.5)
    ]
    assert traffic(shape(config_text), record(request, [1])).unreadable == {
        "the request has 2 lists: name the one with the rows": 1
    }
    assert traffic(shape(config_text, named), record({"rows": [ONE]}, [1])).unreadable == {
        "the request has no member 'data'": 1
    }


def test_lines_of_json_may_each_hold_rows_in_a_member(config_text: str) -> None:
    named = "request: {rows: data}"
    lines = "\n".join(json.dumps({"data": each}) for each in ([ONE, TWO], ONE))
    assert rows(shape(config_text, named), lines, [0, 1, 0]) == [
        (ONE, "0", None),
        (TWO, "1", None),
        (ONE, "0", None),
    ]


def test_an_answer_that_is_one_value_is_that_of_one_row(config_text: str) -> None:
    assert rows(shape(config_text), ONE, 1) == [(ONE, "1", None)]
    assert rows(shape(config_text), ONE, [1, 0.7]) == [(ONE, "1", 0.7)]


@pytest.mark.parametrize("score", ["high", [0.5], 10**400])
def test_a_score_that_is_no_number_is_none(config_text: str, score: Any) -> None:
    assert rows(shape(config_text), ONE, {"y": 1, "score": score}) == [(ONE, "1", None)]


def test_a_project_that_is_not_watched_has_no_shape(config_text: str) -> None:
    with pytest.raises(ValueError, match="is not watched"):
        Shape.of(config.load(config_text))


def test_numbers_alone_are_scores_where_the_metric_is_of_scores(config_text: str) -> None:
    assert rows(shape(config_text, "quality: {metric: auc}"), [ONE], [0.25]) == [(ONE, None, 0.25)]


def test_what_sagemaker_wrote_as_base64_is_read_if_it_is_text(config_text: str) -> None:
    encoded = [base64.b64encode(json.dumps(body).encode()).decode() for body in (ONE, [1])]
    assert rows(shape(config_text), encoded[0], encoded[1], "BASE64") == [(ONE, "1", None)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "the record is none of SageMaker's"),
        ("[]", "the record is none of SageMaker's"),
        (record("<xml>", [1]), "the request is neither JSON nor JSON lines"),
        (record([ONE], {"other": 1}), "the answer has none of y, prediction"),
        (record([ONE, TWO], [1]), "another number of predictions"),
        (record([[1]], [1]), "the request has rows of 1 values, and 2 columns are expected"),
        (record("1,2,3\n", "1", encoding="CSV"), "the request has lines of 3 values"),
        (record("\x00", "1", encoding="BASE64"), "the request is no text in UTF-8"),
        (record("", [1]), "the request is empty"),
        (record({"x": [1.5, 2], "kind": ["k"]}, [1]), "the request has columns of different lengths"),
        (record('1.5,"k"m\n', "1", encoding="CSV"), "the request is no CSV"),
        (with_request({"encoding": "JSON"}), "the request has no data"),
        (
            with_request({"data": "", "observedContentType": "image/png"}),
            "the request is of the type image/png",
        ),
        (with_request({"data": ""}), "the request is of the type unknown"),
        (with_request(None), "the record is none of SageMaker's"),
    ],
)
def test_what_cannot_be_read_is_counted_by_its_reason(config_text: str, line: str, why: str) -> None:
    seen = traffic(shape(config_text), line, line)
    assert not seen.rows
    (reason,) = seen.unreadable
    assert why in reason
    assert seen.unreadable[reason] == 2


def test_a_row_is_named_by_the_callers_id_or_else_by_the_event(config_text: str) -> None:
    lines = record([ONE, TWO], [0, 1], "mine", event="e1"), record([ONE], [1], event="e2")
    assert list(traffic(shape(config_text), *lines).rows) == ["mine#0", "mine#1", "e2#0"]
    assert capture.row_id("mine", 1) == "mine#1"


def test_a_repeated_id_counts_once_with_its_last_answer(config_text: str) -> None:
    seen = traffic(shape(config_text), record([ONE], [0], "a"), record([ONE], [1], "a"))
    assert [each.prediction for each in seen.rows.values()] == ["1"]
    assert seen.requests == 2


def test_a_releases_own_request_is_no_traffic(config_text: str) -> None:
    assert traffic(shape(config_text), record([ONE], [0], "test")).requests == 0


def test_texts_have_the_type_of_their_column_and_nothing_else_is_kept(config_text: str) -> None:
    ((row, _, _),) = rows(shape(config_text), {"x": "2.5", "kind": 3, "y": 1, "other": "secret"}, [1])
    assert row == {"x": 2.5, "kind": "3"}
    ((row, _, _),) = rows(shape(config_text), {"x": "many", "kind": ["k"]}, [1])
    assert row == {"x": "many", "kind": '["k"]'}
