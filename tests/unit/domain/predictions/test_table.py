"""Predictions of any content are read, or refused with the line, the column and what to do."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.predictions import table
from sluice.domain.predictions.table import Predictions, PredictionsError, pair, read_csv

HEADER = "id,label,prediction,score,category\n"


def test_a_file_is_read_by_its_header() -> None:
    found = read_csv(b"\xef\xbb\xbfscore,id,category,label\r\n0.5,a,food,1\r\n1,b,,0\r\n")
    assert (found.ids, found.labels, found.predicted) == (("a", "b"), ("1", "0"), None)
    assert found.scores == [0.5, 1.0]
    assert found.columns == {"category": ("food", "")}
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty: write a header"),
        (HEADER.encode(), "has no rows"),
        (b"\xff\xfe", "is no UTF-8 text at line 1"),
        (f"{HEADER}a,1,1\n".encode(), "has 3 values in line 2, and 5 columns"),
        (f"{HEADER}a,1,1,0.5,x\n\n".encode(), "has an empty line 3"),
        (f"{HEADER}a,1,1,0.5,x\na,1,1,0.5,x\n".encode(), "has the id 'a' in line 2 and line 3"),
        (f"{HEADER}a,,1,0.5,x\n".encode(), "has no label in line 2"),
        (f"{HEADER},1,1,0.5,x\n".encode(), "has no id in line 2"),
        (f"{HEADER}a,1,1,nan,x\n".encode(), "has 'nan' in line 2, column 'score': write a finite number"),
        (f"{HEADER}a,1,1,,x\n".encode(), "has nothing in line 2, column 'score'"),
        (f'{HEADER}a,1,1,0.5,"x\n'.encode(), "is no CSV at line 2"),
        (f"{HEADER}a,1,1,0.5,{'x' * 10_001}\n".encode(), "has 10001 characters in line 2, column 'category'"),
        (b"id,lable,score\na,1,1\n", "has no column 'label', but id, lable, score; did you mean 'lable'"),
        (
            b"id,label,predicted\na,1,1\n",
            "has neither prediction nor score, but id, label, predicted; did you",
        ),
        (b"id,label,score,score\na,1,1,1\n", "has the column 'score' twice"),
        (",".join(["id", "label", "score", *map(str, range(48))]).encode(), "has 51 columns, at most 50"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(content: bytes, why: str) -> None:
    with pytest.raises(PredictionsError) as caught:
        read_csv(content)
    assert str(caught.value).startswith(why)


def test_rows_and_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_ROWS", 2)
    rows = "a,1,1,0,x\nb,1,1,0,x\n"
    assert len(read_csv(f"{HEADER}{rows}".encode())) == 2
    with pytest.raises(PredictionsError, match="has more than 2 rows: write a sample"):
        read_csv(f"{HEADER}{rows}c,1,1,0,x\n".encode())
    monkeypatch.setattr(table, "MAX_BYTES", 10)
    with pytest.raises(PredictionsError, match="has 35 bytes, at most 10"):
        read_csv(HEADER.encode())


@given(st.binary())
def test_any_content_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(PredictionsError):
        assert len(read_csv(content))


@given(st.text(alphabet='ab1,"\n\r ', max_size=60))
def test_any_rows_are_read_or_refused(rows: str) -> None:
    with contextlib.suppress(PredictionsError):
        assert len(read_csv((HEADER + rows).encode()))


def of(ids: str, labels: str = "") -> Predictions:
    return Predictions(list(ids), list(labels or "1" * len(ids)), None, list(map(float, range(len(ids)))))


def test_rows_pair_by_id_in_whatever_order() -> None:
    paired = pair(of("abc", "101"), of("cba", "101"))
    assert (paired.ids, paired.scores) == (["a", "b", "c"], [2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("candidate", "champion", "why"),
    [
        (of("abc"), of("abd"), "1 only the candidate's ('c') and 1 only the champion's ('d')"),
        (of("ab"), of("abcdefghi"), "7 only the champion's ('c', 'd', 'e', 'f', 'g' and 2 more)"),
        (of("ab", "10"), of("ab", "11"), "the id 'b' has the label '0' of the candidate's hold-out and '1'"),
    ],
)
def test_rows_that_do_not_pair_are_named(candidate: Predictions, champion: Predictions, why: str) -> None:
    with pytest.raises(PredictionsError) as caught:
        pair(candidate, champion)
    assert str(caught.value).startswith("do not pair by id: ")
    assert why in str(caught.value)


def test_a_column_that_is_not_there_names_those_that_are() -> None:
    found = read_csv(f"{HEADER}a,1,1,0.5,x\n".encode())
    with pytest.raises(
        PredictionsError, match="has no column 'categry': it has category; did you mean 'category'"
    ):
        found.column("categry")
    with pytest.raises(PredictionsError, match="has 'x' in line 2, column 'category': write a finite number"):
        found.numbers("category")
    with pytest.raises(PredictionsError, match="has no column 'prediction': let evaluate"):
        of("a").numbers("prediction")
