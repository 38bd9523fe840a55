"""Predictions in Parquet are read as those in CSV are."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from sluice.domain.predictions import table
from sluice.domain.predictions.table import PredictionsError, read_csv
from sluice.quality.engine.predictions_file import read_parquet

ROWS = """
SELECT 'r' || i AS id, i % 2 = 0 AS label, i % 3 = 0 AS prediction, i / 10.0 AS score,
       CASE WHEN i = 3 THEN NULL ELSE 'group ' || i % 2 END AS "product group"
FROM range(10) AS t(i)
"""


def parquet(folder: Path, query: str) -> bytes:
    path = folder / "written.parquet"
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def test_a_file_is_read_as_the_same_rows_in_csv_are(tmp_path: Path) -> None:
    found = read_parquet(parquet(tmp_path, ROWS))
    path = tmp_path / "written.csv"
    duckdb.sql(f"COPY ({ROWS}) TO '{path}' (FORMAT csv, HEADER)")
    same = read_csv(path.read_bytes())
    assert (found.ids, found.labels, found.predicted) == (same.ids, same.labels, same.predicted)
    assert (found.scores, found.columns) == (same.scores, same.columns)
    assert found.columns["product group"][3] == ""


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT 'a' AS id, 1 AS label", "has neither prediction nor score, but id, label"),
        ("SELECT 'a' AS id, 1 AS label, 'NaN'::DOUBLE AS score", "has 'nan' in row 1, column 'score'"),
        ("SELECT 'a' AS id, NULL AS label, 1 AS score", "has no label in row 1"),
        (f"{ROWS} WHERE i > 10", "has no rows"),
        ("SELECT 'a' AS id, 1 AS label, 0.5 AS score FROM range(3)", "has the id 'a' in row 1 and row 2"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(tmp_path: Path, query: str, why: str) -> None:
    with pytest.raises(PredictionsError) as caught:
        read_parquet(parquet(tmp_path, query))
    assert str(caught.value).startswith(why)


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    whole = parquet(tmp_path, ROWS)
    for content in (
        b"",
        b"PAR1",
        b"id,label,score\n",
        whole[: len(whole) // 2],
        whole[:-20] + b"x" * 12 + whole[-8:],
    ):
        with pytest.raises(PredictionsError, match="Parquet file, or a damaged one: write it with a library"):
            read_parquet(content)


def test_rows_and_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet(tmp_path, ROWS)
    monkeypatch.setattr(table, "MAX_ROWS", 9)
    with pytest.raises(PredictionsError, match="has 10 rows, at most 9: write a sample"):
        read_parquet(content)
    monkeypatch.setattr(table, "MAX_BYTES", 9)
    with pytest.raises(PredictionsError, match=r"has \d+ bytes, at most 9"):
        read_parquet(content)
