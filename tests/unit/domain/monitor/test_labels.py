"""Labels come late, in pieces and more than once, and join the predictions that they are of."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import random

import pytest

from monitored import truth
from sluice.domain.monitor import tables
from sluice.domain.monitor import truth as truths
from sluice.domain.monitor.capture import Predicted
from sluice.domain.monitor.truth import TruthError

ROWS = [Predicted(f"a#{index}", "2026-11-24T09:00:00Z", {"kind": "k"}, "1", 0.5) for index in range(3)]


def test_model_monitors_lines_hold_labels() -> None:
    assert truths.read(truth([("a", "1"), ("b", "0,1")]), "y").labels == {"a#0": "1", "b#0": "0", "b#1": "1"}


@pytest.mark.parametrize(
    "data",
    [
        b"inference_id,y\na,1\nb,0\n",
        b"\xef\xbb\xbfid,row,label\na,0,1\nb,0,0\n",
        b'{"inference_id": "a", "label": 1}\n{"inferenceId": "b", "y": "0"}\n',
    ],
)
def test_plain_tables_hold_labels_too(data: bytes) -> None:
    assert truths.read(data, "y").labels == {"a#0": "1", "b#0": "0"}


def test_a_row_of_a_request_has_its_own_label() -> None:
    data = b"inference_id,row,y\na,0,1\na,2,0\n"
    assert truths.read(data, "y").labels == {"a#0": "1", "a#2": "0"}
    assert truths.read(b'{"id": "a", "y": [1, 0]}', "y").labels == {"a#0": "1", "a#1": "0"}


def test_of_a_label_given_twice_the_later_one_counts() -> None:
    assert truths.read(b"id,y\na,1\na,0\n", "y").labels == {"a#0": "0"}
    uploads = [("2026-11-25", {"a#0": "0"}), ("2026-11-24", {"a#0": "1", "a#1": "1"})]
    assert tables.merged(uploads) == tables.merged(reversed(uploads)) == {"a#0": "0", "a#1": "1"}


def test_lines_without_a_label_are_told_and_the_others_count() -> None:
    found = truths.read(b"id,y\na,1\n,1\nb,\nc,x,1\nd\ne,0\n", "y")
    assert found.labels == {"a#0": "1", "e#0": "0"}
    assert found.problems == (
        "line 3 is no ground truth",
        "line 4 is no ground truth",
        "line 5 is no ground truth",
        "1 more lines hold no label",
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "has no header with inference_id and y"),
        (b"a,b\n1,2\n", "has no header with inference_id and y"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b'{"id": "a"}\n', "has no label: line 1 is no ground truth"),
        (b"id,y\n", "has no label: it is empty"),
    ],
)
def test_an_upload_without_labels_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(TruthError) as caught:
        truths.read(data, "y")
    assert str(caught.value) == why


@pytest.mark.parametrize("row", ["two", "-1", "\u00b2", "9" * 5000])
def test_a_row_that_is_no_number_names_no_prediction(row: str) -> None:
    found = truths.read(f"id,row,y\na,{row},1\n\nb,0,1\n".encode(), "y")
    assert found.labels == {"b#0": "1"}
    assert found.problems == (f"line 2 has {row!r} as its row",)


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "y": null}',
        '{"id": "a", "y": ""}',
        '{"id": "a", "y": []}',
        '{"id": "a", "y": 1, "row": 1e999}',
    ],
)
def test_a_line_whose_label_or_row_is_none_is_told(line: str) -> None:
    found = truths.read(f'{line}\n\n{{"id": "b", "y": 1}}\n'.encode(), "y")
    assert (found.labels, found.problems) == ({"b#0": "1"}, ("line 1 is no ground truth",))


@pytest.mark.parametrize("data", [b"id,y\na," + b"1" * 200_000, truth([("a", "1" * 200_000)])])
def test_a_label_of_hundreds_of_kilobytes_is_refused(data: bytes) -> None:
    with pytest.raises(TruthError, match="cannot be read: field larger"):
        truths.read(data, "y")


def test_an_upload_of_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truths, "MAX_BYTES", 9)
    assert truths.read(b"id,y\na,1\n", "y").labels == {"a#0": "1"}
    with pytest.raises(TruthError, match="has 10 bytes, at most 9: upload several files"):
        truths.read(b"id,y\na,10\n", "y")


def test_an_index_finds_the_predictions_of_labels_without_reading_them() -> None:
    rng = random.Random(1)
    ids = [f"{rng.getrandbits(128):032x}#0" for _ in range(1000)]
    assert tables.found_in(tables.index(ids[:500]), ids) == ids[:500]


def test_labels_join_predictions_by_id_and_the_rest_waits() -> None:
    rows = list(tables.read(tables.write(ROWS, ["kind", "gone"])))
    found = tables.labelled(rows, {"a#1": "true", "z#0": "1"}, is_number=False)
    assert found is not None
    assert (found.ids, found.labels, found.predicted, found.scores) == (["a#1"], ["1"], ["1"], [0.5])
    assert found.columns == {"kind": ["k"], "gone": [""]}
    assert tables.labelled(rows, {"z#0": "1"}, is_number=False) is None


def test_what_needs_no_label_is_told_of_all_predictions() -> None:
    rows = list(tables.read(tables.write(ROWS, ["kind"])))
    found = tables.unlabelled(rows, is_number=False)
    assert found is not None
    assert (len(found), found.labels, found.predicted) == (3, ["1"] * 3, ["1"] * 3)
    assert tables.unlabelled([], is_number=False) is None


def test_the_state_of_labels_does_not_depend_on_their_order() -> None:
    one, other = {"a#0": "1", "b#0": "0"}, {"b#0": "0", "a#0": "1"}
    assert tables.state(one) == tables.state(other) != tables.state({"a#0": "1"})
