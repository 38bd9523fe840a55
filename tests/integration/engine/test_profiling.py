"""A profile has exact counts, the same whatever the threads, and the baseline's bins for free."""

# ruff: noqa: S608 - the tests' own tables

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import duckdb
import pytest

from sluice.domain.config.base import ColumnType
from sluice.domain.config.statistics import Bias, Facet
from sluice.quality.engine import profiling
from sluice.quality.engine.profiling import label_counts
from sluice.quality.engine.sql import sql_type
from sluice.quality.statistics.bias import LabelCount, TooManyValuesError
from sluice.quality.statistics.profiles import DISCRETE_MAX, Profile

COLUMNS: dict[str, ColumnType] = {
    "code": "integer",
    "value": "number",
    "kind": "string",
    "review": "string",
    "flag": "boolean",
    "at": "timestamp",
}
# Multiplications by primes scatter the values without a generator.
ROWS = """
    SELECT (i % 7)::BIGINT AS code, ((i * 7919 % 100003) / 1000.0 + {shift})::DOUBLE AS value,
      chr(65 + (i % 5)::INT) AS kind, repeat('w', (i * 31 % 211)::INT) || i AS review,
      i % 3 = 0 AS flag, TIMESTAMP '2024-01-01' + to_seconds(i * 97 % 86399) AS at
    FROM range({rows}) r(i)
"""


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def table(db: duckdb.DuckDBPyConnection, name: str, rows: int, shift: float = 0) -> str:
    db.execute(f"CREATE TABLE {name} AS {ROWS.format(rows=rows, shift=shift)}")
    return name


def profile(
    db: duckdb.DuckDBPyConnection,
    relation: str,
    columns: dict[str, ColumnType],
    baseline: Profile | None = None,
    written: dict[str, int] | None = None,
) -> Profile:
    ((rows,),) = db.execute(f"SELECT count(*) FROM {relation}").fetchall()
    return profiling.profile(db, relation, columns, rows=rows, written=written, baseline=baseline)


@pytest.mark.parametrize("rows", [5_000, 30_000])
def test_every_value_is_in_one_bin_and_counted_exactly(db: duckdb.DuckDBPyConnection, rows: int) -> None:
    found = profile(db, table(db, "data", rows), COLUMNS).columns
    distribution = found["value"].distribution
    assert distribution is not None
    assert not distribution.is_discrete
    assert len(distribution.edges) > 100
    assert sum(distribution.counts) == rows
    for index in (0, 50, len(distribution.edges) - 1):
        (exact,) = db.execute(
            f"SELECT count(*) FROM data WHERE value::DOUBLE <= {distribution.edges[index]!r}"
        ).fetchone() or (None,)
        assert sum(distribution.counts[: index + 1]) == exact


def test_edges_with_all_their_digits_lose_no_value(db: duckdb.DuckDBPyConnection) -> None:
    db.execute("CREATE TABLE data AS SELECT sqrt(i + 0.1) / 7e3 AS x FROM range(30000) r(i)")
    baseline = profile(db, "data", {"x": "number"})
    distribution = baseline.columns["x"].distribution
    assert distribution is not None
    assert distribution.total == 30_000
    assert profile(db, "data", {"x": "number"}, baseline).in_baseline["x"] == distribution.counts


def test_edges_are_near_the_percentiles(db: duckdb.DuckDBPyConnection) -> None:
    distribution = profile(db, table(db, "data", 100_000), {"value": "number"}).columns["value"].distribution
    assert distribution is not None
    assert max(distribution.counts) < 100_000 * 0.02


def test_a_column_of_few_values_is_kept_value_by_value(db: duckdb.DuckDBPyConnection) -> None:
    found = profile(db, table(db, "data", 30_000), COLUMNS).columns
    code, kind, flag = found["code"], found["kind"], found["flag"]
    assert code.distribution is not None
    assert (code.distribution.edges, code.distribution.is_discrete) == (tuple(map(float, range(7))), True)
    assert (code.distinct, code.distinct_is_exact) == (7, True)
    assert kind.categories is not None
    assert kind.categories.counts == dict.fromkeys("ABCDE", 6000)
    assert flag.categories is not None
    assert flag.categories.counts == {"true": 10_000, "false": 20_000}


def test_text_is_kept_by_its_lengths_and_no_value_of_it(db: duckdb.DuckDBPyConnection) -> None:
    found = profile(db, table(db, "data", 30_000), COLUMNS)
    review = found.columns["review"]
    assert review.categories is None
    assert review.distribution is not None
    assert (review.distribution.min, review.distribution.max) == (1, 215)
    assert not review.distinct_is_exact
    assert review.distinct == pytest.approx(30_000, rel=0.1)
    assert b"www" not in found.to_json()


def test_a_time_is_counted_in_seconds(db: duckdb.DuckDBPyConnection) -> None:
    column = profile(db, table(db, "data", 20_000), COLUMNS).columns["at"]
    assert column.distribution is not None
    assert column.distribution.min == (datetime(2024, 1, 1) - datetime(1970, 1, 1)).total_seconds()


def test_each_row_has_a_value_none_or_an_invalid_one(db: duckdb.DuckDBPyConnection) -> None:
    db.execute("CREATE TABLE data AS SELECT unnest([1, 2.5, NULL, NULL, NULL, NULL]::DOUBLE[]) AS x")
    column = profile(db, "data", {"x": "number"}, written={"x": 5}).columns["x"]
    assert (column.present, column.missing, column.invalid) == (2, 1, 3)
    assert column.distribution is not None
    assert (column.distribution.mean, column.distribution.std) == (1.75, 0.75)


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [
        ((1e300, -1e305, 3e307), 9.966666666667e306, 1.41657644426e307),
        ((1.7e308, 1.7e308), 1.7e308, 0.0),
        ((1.7e308, -1.7e308), 0.0, 1.7e308),
    ],
)
def test_numbers_near_the_greatest_have_a_mean_and_a_deviation(
    db: duckdb.DuckDBPyConnection, values: tuple[float, ...], mean: float, std: float
) -> None:
    db.execute(f"CREATE TABLE data AS SELECT unnest({list(values)}::DOUBLE[]) AS x")
    found = profile(db, "data", {"x": "number"})
    distribution = found.columns["x"].distribution
    assert distribution is not None
    assert (distribution.mean, distribution.std) == pytest.approx((mean, std))
    assert Profile.from_json(found.to_json()) == found


@pytest.mark.parametrize("kind", ["number", "string", "boolean", "timestamp", "integer"])
@pytest.mark.parametrize("values", [(), (None, None)])
def test_a_column_without_values_has_a_profile(
    db: duckdb.DuckDBPyConnection, kind: ColumnType, values: tuple[None, ...]
) -> None:
    values_sql = ", ".join("NULL" for _ in values)
    db.execute(f"CREATE TABLE data AS SELECT unnest([{values_sql}]::{sql_type(kind)}[]) AS x")
    found = profile(db, "data", {"x": kind})
    assert (found.columns["x"].present, found.columns["x"].distinct) == (0, 0)
    assert found.columns["x"].distribution is None
    assert Profile.from_json(found.to_json()) == found


@pytest.mark.parametrize("rows", [3_000, 40_000])
def test_equal_data_have_equal_bytes_whatever_the_threads_and_the_order(
    db: duckdb.DuckDBPyConnection, rows: int
) -> None:
    table(db, "data", rows, shift=0.1)
    db.execute("CREATE TABLE reordered AS SELECT * FROM data ORDER BY hash(review)")
    spelled = set()
    for threads in (1, 2, 4):
        db.execute(f"SET threads = {threads}")
        spelled |= {profile(db, name, COLUMNS).to_json() for name in ("data", "reordered")}
    assert len(spelled) == 1


def test_what_is_stored_is_what_is_read(db: duckdb.DuckDBPyConnection) -> None:
    found = profile(db, table(db, "data", 30_000), COLUMNS)
    restored = Profile.from_json(found.to_json())
    assert restored == found
    assert restored.columns["kind"].categories is not None
    assert list(restored.columns["kind"].categories.counts) == list("ABCDE")


@pytest.mark.parametrize("rows", [4_000, 30_000])
def test_values_are_counted_in_the_baselines_bins(db: duckdb.DuckDBPyConnection, rows: int) -> None:
    baseline = Profile.from_json(profile(db, table(db, "before", 25_000), COLUMNS).to_json())
    found = profile(db, table(db, "data", rows, shift=30), COLUMNS, baseline)
    distribution = baseline.columns["value"].distribution
    assert distribution is not None
    counts = found.in_baseline["value"]
    assert len(counts) == len(distribution.counts)
    assert sum(counts) == rows
    edge = distribution.edges[60]
    (exact,) = db.execute(f"SELECT count(*) FROM data WHERE value::DOUBLE <= {edge!r}").fetchone() or (None,)
    assert sum(counts[:61]) == exact
    assert found.in_baseline["kind"] == (rows // 5,) * 5
    assert found.to_json() == profile(db, "data", COLUMNS).to_json()


def test_categories_of_the_baseline_are_found_among_values_that_became_text(
    db: duckdb.DuckDBPyConnection,
) -> None:
    db.execute("CREATE TABLE before AS SELECT 'k' || (i % 3) AS x FROM range(300) r(i)")
    db.execute("CREATE TABLE data AS SELECT 'k' || i AS x FROM range(5000) r(i)")
    baseline = profile(db, "before", {"x": "string"})
    found = profile(db, "data", {"x": "string"}, baseline)
    assert found.columns["x"].categories is None
    assert found.in_baseline["x"] == (1, 1, 1)


def test_only_the_most_frequent_categories_are_kept(db: duckdb.DuckDBPyConnection) -> None:
    db.execute("CREATE TABLE data AS SELECT 'k' || (i % 500) AS x FROM range(5100) r(i)")
    column = profile(db, "data", {"x": "string"}).columns["x"]
    assert column.categories is not None
    assert len(column.categories.counts) == 500
    assert column.categories.counts["k99"] == 11
    assert column.categories.total == 5100
    assert (column.distinct, column.distinct_is_exact) == (500, True)


def test_rows_that_repeat_still_give_edges_all_over(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(f"CREATE TABLE data AS SELECT (i % {DISCRETE_MAX * 5})::BIGINT AS x FROM range(50000) r(i)")
    distribution = profile(db, "data", {"x": "integer"}).columns["x"].distribution
    assert distribution is not None
    assert len(distribution.edges) > 90
    assert max(distribution.counts) <= 50_000 * 0.02


def test_a_column_that_hardly_any_row_has_a_value_of_is_counted_all_the_same(
    db: duckdb.DuckDBPyConnection,
) -> None:
    db.execute(
        "CREATE TABLE data AS SELECT i AS id, CASE WHEN i % 100 = 0 THEN i END AS x FROM range(50000) r(i)"
    )
    column = profile(db, "data", {"id": "integer", "x": "integer"}).columns["x"]
    assert (column.present, column.missing) == (500, 49_500)
    assert column.distribution is not None
    assert column.distribution.total == 500
    assert max(column.distribution.counts) <= 5


def test_names_that_are_sql_are_only_names(db: duckdb.DuckDBPyConnection) -> None:
    hostile = """x"; DROP TABLE data; --'"""
    quoted = '"' + hostile.replace('"', '""') + '"'
    db.execute(f"CREATE TABLE data AS SELECT 1 AS {quoted}")
    assert profile(db, "data", {hostile: "integer"}).columns[hostile].present == 1


def test_more_columns_than_a_statement_takes_are_profiled(db: duckdb.DuckDBPyConnection) -> None:
    names = [f"c{index}" for index in range(130)]
    values = ", ".join(f"i + {index} AS {name}" for index, name in enumerate(names))
    db.execute(f"CREATE TABLE data AS SELECT {values} FROM range(9) r(i)")
    found = profile(db, "data", dict.fromkeys(names, "integer"))
    assert list(found.columns) == names
    distribution = found.columns["c129"].distribution
    assert distribution is not None
    assert (distribution.min, distribution.max) == (129, 137)


PEOPLE = """
    SELECT * FROM (VALUES ('f', 30, 'yes', 'x'), ('f', 50, 'no', 'x'), ('m', 60, 'yes', 'y'),
      ('m', 60, 'yes', 'y'), (NULL, 20, 'no', 'y'), ('f', NULL, 'no', NULL), ('m', 40, NULL, 'x'))
      t(sex, age, hired, job)
"""
PEOPLE_COLUMNS: dict[str, ColumnType] = {
    "sex": "string",
    "age": "integer",
    "hired": "string",
    "job": "string",
}


def counted(found: Any) -> list[set[tuple[Any, ...]]]:
    return [{(c.facet, c.label, c.group, c.rows) for c in facet} for facet in found]


def test_all_facets_are_counted_in_one_scan_without_rows_that_lack_a_value(
    db: duckdb.DuckDBPyConnection,
) -> None:
    facets = ("sex", Facet(column="sex", values=("f",)), Facet(column="age", threshold=45))
    bias = Bias(facets=facets, favorable_labels=("yes",), group="job")
    found = label_counts(db, f"({PEOPLE})", PEOPLE_COLUMNS, "hired", bias)
    assert counted(found) == [
        {("f", "yes", "x", 1), ("f", "no", "x", 1), ("f", "no", None, 1), ("m", "yes", "y", 2)},
        {(True, "yes", "x", 1), (True, "no", "x", 1), (True, "no", None, 1), (False, "yes", "y", 2)},
        {(False, "yes", "x", 1), (True, "no", "x", 1), (True, "yes", "y", 2), (False, "no", "y", 1)},
    ]


@pytest.mark.parametrize("missing", ["sex", "age", "hired", "job"])
def test_rows_have_no_value_in_a_column_that_is_not_there(
    db: duckdb.DuckDBPyConnection, missing: str
) -> None:
    facets = ("sex", Facet(column="sex", values=("f",)), Facet(column="age", threshold=45))
    bias = Bias(facets=facets, favorable_labels=("yes",), group="job")
    there = {name: type_ for name, type_ in PEOPLE_COLUMNS.items() if name != missing}
    found = label_counts(db, f"(SELECT {', '.join(there)} FROM ({PEOPLE}))", there, "hired", bias)
    counted_rows = [sum(count.rows for count in facet) for facet in found]
    assert counted_rows == {"sex": [0, 0, 5], "age": [5, 5, 0], "hired": [0, 0, 0], "job": [5, 5, 5]}[missing]


def test_a_favorable_threshold_makes_two_labels_of_a_number(db: duckdb.DuckDBPyConnection) -> None:
    bias = Bias(facets=("sex",), favorable_threshold=45)
    (found,) = label_counts(db, f"({PEOPLE})", PEOPLE_COLUMNS, "age", bias)
    assert LabelCount("f", True, None, 1) in found
    assert LabelCount("m", True, None, 2) in found


def test_a_facet_that_is_an_identifier_is_refused(
    db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.quality.engine.profiling._LABEL_COUNTS_MAX", 100)
    db.execute("CREATE TABLE data AS SELECT i AS id, i % 2 AS label FROM range(500) r(i)")
    bias = Bias(facets=("id",), favorable_labels=(1,))
    with pytest.raises(TooManyValuesError, match="more than 100 combinations"):
        label_counts(db, "data", {"id": "integer", "label": "integer"}, "label", bias)


def test_a_profile_is_small(db: duckdb.DuckDBPyConnection) -> None:
    found = profile(db, table(db, "data", 30_000), COLUMNS)
    assert len(found.to_json()) < 2_000 * len(COLUMNS)
    assert json.loads(found.to_json())["version"] == 1
