"""What was found in parts of the data is, put together, what is found in all of them at once."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluice.domain.config.checks import freshness
from sluice.domain.config.checks.figures import added, merged_moments, merged_values
from sluice.domain.config.models import Data

# Loaded here once, and not anew in each process that judges.
from sluice.quality import run
from sluice.quality.judging import Baseline, Terms
from sluice.quality.part_results import NeedsWholeError, PartFormatError, PartResults, merge, whole_checks
from sluice.quality.run import Limits, Outcome, Work
from sluice.quality.statistics.profiles import PROFILE, Distribution, Profile
from sluice.quality.validation import DataFile, checks

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SCHEMA = {
    "n": {"type": "integer", "min": 0, "max": 50, "tolerance": 0.2},
    "x": {"type": "number", "required": True},
    "s": {"type": "string", "allowed": ["a", "b", "c"], "max_length": 2, "tolerance": 0.1},
    "t": {"type": "timestamp"},
    "y": {"type": "boolean"},
}
QUALITY: list[dict[str, Any]] = [
    {"check": "mean", "column": "n", "min": 3, "max": 20},
    {"check": "minimum", "column": "x", "min": -5},
    {"check": "maximum", "column": "x", "max": 50},
    {"check": "completeness", "column": "s", "min": 0.5},
    {"check": "allowed_share", "column": "s", "values": ["a", "b"], "min": 0.5},
    {"check": "row_count", "min": 3},
    {"check": "freshness", "column": "t", "max_age_s": 86400},
    {"check": "distinct_count", "column": "s", "min": 2, "max": 3},
    {"check": "uniqueness", "column": "x", "min": 0.6},
    {"check": "distinct_count", "column": "t", "min": 2},
    {"check": "uniqueness", "column": "y", "min": 0.4},
]
BIAS = {"facets": ["s"], "favorable_labels": [True], "limits": {"DPL": 0.3}}


def contract(**changes: Any) -> Data:
    given = {
        "format": "csv",
        "label": "y",
        "schema": SCHEMA,
        "quality": QUALITY,
        "bias": BIAS,
        "extra": "warn",
    }
    return Data.model_validate({**given, **changes}, strict=False)


class World:
    """Files whose rows a test gives, judged in one go or on top of others."""

    def __init__(self, folder: Path, data: Data) -> None:
        self.folder = folder
        self.data = data

    def judge(
        self,
        bodies: Sequence[str],
        *,
        first: int = 0,
        former: bytes | None = None,
        baseline: Baseline | None = None,
        now: datetime = NOW,
    ) -> Outcome:
        files = []
        for number, body in enumerate(bodies, first):
            path = self.folder / f"{number}"
            path.write_text(body)
            files.append(DataFile(f"p/{number:03}", path))
        terms = Terms(self.data, baseline or Baseline(), now)
        work = Work(files, terms, Limits(256, None, self.folder))
        return run.validate(work, title="t", former=former, keeps_part=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, contract())


def body(rows: Sequence[Sequence[str]], header: str = "n,x,s,t,y") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


N = st.sampled_from(["1", "7", "60", "-1", "", "no", "9007199254740993"])
X = st.sampled_from(["0.1", "0.25", "1e3", "", "-7", "nan"])
S = st.sampled_from(["a", "b", "c", "d", "long", ""])
T = st.sampled_from(["2026-01-01T12:00:00", "2025-12-01", "2026-03-01T00:00:00.5", "", "never"])
Y = st.sampled_from(["true", "false", ""])
FILE = st.one_of(
    st.lists(st.tuples(N, X, S, T, Y), min_size=1, max_size=6).map(body),
    st.lists(st.tuples(N, X, S, T), max_size=3).map(lambda rows: body(rows, "n,x,s,t")),
    st.lists(st.tuples(S, Y, X), max_size=3).map(lambda rows: body(rows, "s,y,also")),
)
GOOD = body([("1", "0.1", "a", "2026-01-01T12:00:00", "true"), ("2", "0.2", "b", "2026-01-01", "false")])


def plain(report: bytes) -> Any:
    return json.loads(report)


def same(some: Profile, others: Profile) -> None:
    """The same profile, but for how the moments' last digits are rounded."""
    assert some.rows == others.rows
    assert some.columns.keys() == others.columns.keys()
    for name, column in some.columns.items():
        other = others.columns[name]
        assert moments(column.distribution) == pytest.approx(moments(other.distribution), rel=1e-9)
        assert without_moments(column) == without_moments(other), name


def rounded(found: Any) -> Any:
    """The same, without the last digits of numbers: threads add them up in one order or another."""
    match found:
        case dict():
            return {key: rounded(value) for key, value in found.items()}
        case list() | tuple():
            return [rounded(value) for value in found]
        case float():
            return float(f"{found:.12g}")
    return found


def moments(found: Distribution | None) -> list[float]:
    return [] if found is None else [found.mean, found.std]


def without_moments(column: Any) -> Any:
    found = column.distribution
    return replace(column, distribution=found and replace(found, mean=0.0, std=0.0))


@given(files=st.lists(FILE, min_size=2, max_size=4), at=st.integers(1, 3), then=st.integers(0, 100))
@example(files=[GOOD, body([("", "", "", "", "")])], at=1, then=0)
@example(files=[GOOD, body([], "n,x"), GOOD], at=2, then=0)
@example(files=[body([("1", "0.1", "", "2026-01-01")], "n,x,s,t"), body([], "n,x,s,t")], at=1, then=0)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_put_together_are_judged_as_the_whole(
    tmp_path: Path, files: list[str], at: int, then: int
) -> None:
    world, at = World(tmp_path, contract()), min(at, len(files) - 1)
    later = NOW + timedelta(days=then)
    former = world.judge(files[:at])
    # Twice as many rows would be read whole.
    stored = grown(former.part)
    if stored is None:
        assert former.report.rows == 0
        return
    together = world.judge(files[at:], first=at, former=stored, now=later)
    whole = world.judge(files, now=later)
    assert plain(together.documents[run.REPORT]) == plain(whole.documents[run.REPORT])
    assert together.object_rows == {key: whole.object_rows[key] for key in together.object_rows}
    if whole.report.rows:
        profiles = (Profile.from_json(outcome.documents[PROFILE]) for outcome in (together, whole))
        same(*profiles)


def grown(part: bytes | None) -> bytes | None:
    if part is None:
        return None
    return json.dumps({**json.loads(part), "edged_rows": 10**9}).encode()


def rows(count: int, start: int = 0) -> list[tuple[str, ...]]:
    """Rows of many different values."""
    return [
        (
            str(n % 40),
            str(n * 0.5 % 37),
            "abc"[n % 3],
            f"2026-01-01T{n % 24:02}:00:00",
            str(n % 2 == 0).lower(),
        )
        for n in range(start, start + count)
    ]


def test_drift_is_told_from_parts_as_from_the_whole(tmp_path: Path) -> None:
    drift = {"method": "psi", "max": 0.2, "max_missing_change": 0.1, "max_new_share": 0.1}
    # More numbers than are kept one by one, so that they are counted between edges.
    schema = {**SCHEMA, "x": {"type": "number"}, "z": {"type": "integer"}}
    world = World(tmp_path, contract(drift=drift, schema=schema, bias=None, quality=[]))

    def of(count: int, start: int, shift: int) -> str:
        values = [(*row, str(start + n * 7 % 1000 + shift)) for n, row in enumerate(rows(count, start))]
        return body(values, "n,x,s,t,y,z")

    first, more = of(800, 0, 0), of(700, 800, 5000)
    former = world.judge([first])
    assert former.part is not None
    baseline = Baseline(800, "v1", Profile.from_json(former.documents[PROFILE]))
    together = world.judge([more], first=1, former=former.part, baseline=baseline)
    whole = world.judge([first, more], baseline=baseline)
    drifted = [plain(outcome.documents[run.REPORT])["drift"] for outcome in (together, whole)]
    assert drifted[0]["has_drifted"]
    for column in drifted[1]["columns"]:
        if column["column"] == "z":
            # An area between quantiles that are not the data's own says nothing.
            del column["distances"]["wasserstein"]
    assert drifted[0]["columns"] == drifted[1]["columns"]
    assert together.report.reasons == whole.report.reasons
    # Counts are exact between the edges of the first part, which are none of the whole's own quantiles.
    (z,) = [Profile.from_json(together.documents[PROFILE]).columns["z"]]
    assert z.distribution is not None
    assert z.distribution.edges == baseline.profile.columns["z"].distribution.edges  # type: ignore[union-attr]
    assert z.distribution.total == 1500


def test_a_value_between_those_of_the_baseline_takes_the_whole_to_be_seen(tmp_path: Path) -> None:
    drift = {"method": "ks", "max": 0.2}
    world = World(tmp_path, contract(drift=drift, bias=None, quality=[]))
    few = body(rows(90))
    many = body([(row[0], str(n / 3), *row[2:]) for n, row in enumerate(rows(400))])
    former = world.judge([few])
    baseline = Baseline(90, "v1", Profile.from_json(former.documents[PROFILE]))
    with pytest.raises(NeedsWholeError, match="between the baseline's values"):
        world.judge([many], first=1, former=grown(former.part), baseline=baseline)


def test_parts_add_up_over_many_versions(world: World) -> None:
    bodies = [body(rows(60, 60 * n)) for n in range(5)]
    part = grown(world.judge(bodies[:1]).part)
    for n in range(1, 5):
        outcome = world.judge(bodies[n : n + 1], first=n, former=part)
        part = outcome.part
    whole = world.judge(bodies)
    assert plain(outcome.documents[run.REPORT]) == plain(whole.documents[run.REPORT])
    assert outcome.report.rows == 300


def test_of_many_values_as_many_are_estimated_whatever_the_parts(tmp_path: Path) -> None:
    world = World(tmp_path, contract(quality=[], bias=None, schema={**SCHEMA, "s": {"type": "string"}}))

    def of(start: int) -> str:
        return body([("1", "1", f"id{n}", "", "true") for n in range(start, start + 3000)])

    former = world.judge([of(0)])
    together = world.judge([of(2000)], first=1, former=former.part)
    (column,) = [Profile.from_json(together.documents[PROFILE]).columns["s"]]
    assert not column.distinct_is_exact
    assert column.distinct == pytest.approx(5000, rel=0.1)


def test_stored_results_are_read_as_they_were_written(world: World) -> None:
    part = world.judge([body(rows(300))]).part
    assert part is not None
    contract_ = json.loads(part)["contract"]
    read = PartResults.from_json(part, contract_)
    assert read.to_json() == part
    for damaged, of in [(b"{}", contract_), (b"[]", contract_), (part[:-1], contract_), (part, "another")]:
        with pytest.raises(PartFormatError):
            PartResults.from_json(damaged, of)


def test_results_under_another_contract_or_of_half_the_data_are_no_start(world: World) -> None:
    part = world.judge([body(rows(10))]).part
    other = World(world.folder, contract(quality=[]))
    with pytest.raises(NeedsWholeError, match="another format or contract"):
        other.judge([body(rows(5))], first=1, former=part)
    doubled = json.dumps({**json.loads(part or b""), "edged_rows": 5}).encode()
    with pytest.raises(NeedsWholeError, match="have doubled"):
        world.judge([body(rows(5))], first=1, former=doubled)


@pytest.mark.parametrize("check", ["distinct_count", "uniqueness"])
def test_different_values_are_told_from_parts_as_long_as_there_are_few(tmp_path: Path, check: str) -> None:
    """Those of the first thousand are told apart; of more, each build counts all."""
    schema = {"x": {"type": "integer"}, "y": {"type": "boolean"}}
    quality = [{"check": check, "column": "x", "min": 1}]
    world = World(tmp_path, contract(schema=schema, quality=quality, bias=None))

    def numbers(first: int, last: int) -> str:
        return body([(str(n), "true") for n in range(first, last)], "x,y")

    bodies = [numbers(0, 700), numbers(600, 1000), numbers(900, 1300), numbers(0, 10)]
    part = grown(world.judge(bodies[:1]).part)
    for n in (1, 2):
        outcome = world.judge(bodies[n : n + 1], first=n, former=part)
        whole = world.judge(bodies[: n + 1])
        assert plain(outcome.documents[run.REPORT]) == plain(whole.documents[run.REPORT])
        part = outcome.part
    with pytest.raises(NeedsWholeError, match="more than 1024 different values"):
        world.judge(bodies[3:], first=3, former=part)


def test_parts_that_were_read_one_by_one_are_judged_as_the_whole(world: World) -> None:
    bodies = [body(rows(300)), "n,x,s,t,y\n1,2,3\n", body(rows(40, 7), "n,x,s,t,also"), body(rows(200, 300))]
    whole = world.judge(bodies)
    parts: list[PartResults] = []
    for number, text in enumerate(bodies):
        path = world.folder / "one"
        path.write_text(text)
        files, limits = [DataFile(f"p/{number:03}", path)], Limits(256, None, world.folder)
        work = Work(files, Terms(world.data, Baseline(), NOW), limits)
        read = run.read(work, edged=parts[0] if parts else None, keeps_edges=True)
        (leaf,) = read.leaf_parts
        part = run.parsed_leaf(leaf, world.data)
        assert part is not None
        parts.append(part)
    together = run.conclude(parts, Terms(world.data, Baseline(), NOW), title="t")
    assert plain(together.documents[run.REPORT]) == plain(whole.documents[run.REPORT])
    assert {violation.check for violation in together.report.violations} >= {"format", "column", "extra"}


@pytest.mark.parametrize("data_format", ["csv", "parquet"])
def test_a_leaf_of_what_is_read_together_is_what_is_read_of_it_alone(world: World, data_format: str) -> None:
    """Whatever is in the others: bad rows, other columns, or nothing that can be read."""
    data = Data.model_validate({**world.data.model_dump(mode="json"), "format": data_format}, strict=False)
    files = [*(odd_texts if data_format == "csv" else odd_tables)(world.folder)]
    (edged,) = leaves_read(world, data, files, (), None)
    sizes = (2, 1, 3, 1)
    alone = [
        leaves_read(world, data, files[end - size : end], (), edged)
        for size, end in zip(sizes, accumulate(sizes), strict=True)
    ]
    together = leaves_read(world, data, files, sizes, edged)
    assert [rounded(asdict(part)) for part in together] == [rounded(asdict(part)) for (part,) in alone]
    assert sum(part.rows for (part,) in alone) == edged.rows > 0


@pytest.mark.parametrize(("others", "is_kept"), [("abcd" * 5, True), ("efgh" * 5, True), ("", False)])
def test_what_is_redacted_is_kept_of_few_rows_if_more_show_that_it_is_categories(
    tmp_path: Path, others: str, is_kept: bool
) -> None:
    world = World(tmp_path, contract(schema={**SCHEMA, "s": {"type": "string"}}, redact=["s"], quality=[]))

    def written(name: str, values: str) -> DataFile:
        path = tmp_path / name
        path.write_text(body([["1", "2", value, "", "true"] for value in values]))
        return DataFile(name, path)

    few = written("few", "abcd")
    edged = leaves_read(world, world.data, [written("more", others)], (), None)[0] if others else None
    (leaf,) = leaves_read(world, world.data, [few], (), edged)
    assert (leaf.columns["s"].values is not None) == is_kept
    if edged is not None:
        added = run.parsed(run.added_up([leaf, leaf], world.data), world.data)
        assert added is not None
        assert added.columns["s"].values == dict.fromkeys("abcd", 2)


def leaves_read(
    world: World, data: Data, files: Sequence[DataFile], leaf_files: Sequence[int], edged: PartResults | None
) -> list[PartResults]:
    work = Work(files, Terms(data, Baseline(), NOW), Limits(256, None, world.folder), leaf_files)
    found = run.read(work, edged=edged)
    return [part for leaf in found.leaf_parts if (part := run.parsed_leaf(leaf, data))]


def odd_texts(folder: Path) -> Iterator[DataFile]:
    odd = [["1", "-5", "zzzz", "none", "7"]] * 9
    texts = [
        body(rows(30)),
        "n,x,s,t,y\n1,2,3\n",
        body(rows(40, 7), "n,x,s,t,also"),
        "",
        "n,x,s,t,y\n",
        body(rows(20, 300)),
        body([*rows(3), *odd]),
    ]
    for number, text in enumerate(texts):
        path = folder / f"text-{number}"
        path.write_text(text)
        yield DataFile(f"p/{number}", path)


def odd_tables(folder: Path) -> Iterator[DataFile]:
    for number in range(7):
        path = folder / f"table-{number}"
        columns = "i AS n, i / 3 AS x, 's' || i % 3 AS s" if number % 3 else "i - 90 AS n, true AS y"
        if number == 2:
            path.write_text("no table")
        else:
            duckdb.from_query(f"SELECT {columns} FROM range({number * 20}) t(i)").write_parquet(str(path))  # noqa: S608
        yield DataFile(f"p/{number}", path)


def test_what_ends_the_engine_is_told_of_a_part_too(world: World) -> None:
    path = world.folder / "one"
    path.write_text(GOOD)
    files, limits = [DataFile("p/000", path)], Limits(256, 0.0, world.folder)
    read = run.read(Work(files, Terms(world.data, Baseline(), NOW), limits), edged=None)
    assert read.beyond is not None
    assert read.leaf_parts == ()


def test_an_unreadable_file_is_one_of_a_part_too(world: World) -> None:
    former = world.judge([GOOD])
    together = world.judge(["n,x,s,t,y\n1,2,3\n", GOOD], first=1, former=former.part)
    assert not together.report.is_valid
    assert together.report.offenders({"p/001", "p/002"}).keys() == {"p/001"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ()),
        ({"keys": [["n", "s"]]}, ("key of n, s",)),
        ({"schema": {**SCHEMA, "n": {"type": "integer", "unique": True}}}, ("unique of n",)),
        ({"quality": [{"check": "quantile", "column": "x", "q": 0.5, "min": 0}]}, ("quantile of x",)),
        ({"quality": [{"check": "sql", "name": "mine", "query": "SELECT 1"}]}, ("sql 'mine'",)),
        (
            {"schema": {**SCHEMA, **{f"c{n}": {"type": "string"} for n in range(200)}}},
            ("more than 200 columns",),
        ),
        ({"drift": {"method": "wasserstein", "max": 1.0}}, ("drift by wasserstein",)),
        ({"quality": [{"check": "distinct_count", "column": "s", "min": 1}]}, ()),
        ({"quality": [{"check": "uniqueness", "column": "s", "min": 0.1}]}, ()),
    ],
)
def test_what_must_see_all_data_is_named_and_kept_of_no_part(
    tmp_path: Path, changes: dict[str, Any], said: tuple[str, ...]
) -> None:
    world = World(tmp_path, contract(**changes))
    assert whole_checks(world.data) == said
    assert (world.judge([GOOD]).part is None) == bool(said)


VALUES = st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=5)


@given(VALUES, VALUES)
def test_means_of_integers_are_merged_to_the_last_digit(some: list[int], others: list[int]) -> None:
    def of(values: list[int]) -> dict[str, Any]:
        total = sum(values)
        return {"count": len(values), "mean": total / len(values), "std": None, "sum": str(total)}

    assert merged_moments(of(some), of(others)) == of(some + others)


FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5)


@given(FLOATS, FLOATS)
def test_moments_of_numbers_are_merged_up_to_rounding(some: list[float], others: list[float]) -> None:
    def of(values: list[float]) -> dict[str, Any]:
        std = statistics.pstdev(values)
        return {"count": len(values), "mean": statistics.fmean(values), "std": std, "sum": None}

    assert merged_moments(of(some), of(others)) == pytest.approx(of(some + others), abs=1e-6)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1e200), (1.7e308, None)])
def test_moments_beyond_all_numbers_take_the_whole(mean: float, std: float | None) -> None:
    some = {"count": 1, "mean": mean, "std": std, "sum": None}
    with pytest.raises(NeedsWholeError, match="beyond what their moments can be added up of"):
        merged_moments(some, {**some, "mean": -mean})


def test_numbers_whose_sum_is_beyond_all_numbers_have_moments_in_a_part_too(tmp_path: Path) -> None:
    world = World(tmp_path, contract(quality=[], bias=None))
    part = world.judge([body([("1", "1.5e308", "a", "", "true")] * 4)]).part
    assert part is not None
    moments = PartResults.from_json(part, json.loads(part)["contract"]).columns["x"].moments
    assert moments is not None
    assert (moments.mean, moments.std) == (1.5e308, 0)


def test_more_times_to_come_than_are_kept_take_the_whole() -> None:
    def of(first: int, count: int) -> dict[str, Any]:
        later = [f"2027-01-01T00:00:{n:09}" for n in range(first, first + count)]
        return {"newest": "2026-01-01", "oldest": "2026-01-01", "later": later}

    assert len(freshness._merge(of(0, 60), of(20, 80))["later"]) == 100  # type: ignore[index]
    with pytest.raises(NeedsWholeError, match="more than 100 times to come"):
        freshness._merge(of(0, 60), of(60, 60))


def test_a_part_without_a_figure_adds_nothing() -> None:
    assert added(None, [1, 2]) == added([1, 2], None) == [1, 2]
    assert added(None, None) is None
    values = {"present": 1, "distinct": 1, "hashes": [7]}
    assert merged_values(None, values) == merged_values(values, None) == values


@pytest.mark.parametrize("figure", [math.inf, {"count": 1, "mean": math.nan, "std": None, "sum": None}])
def test_a_figure_that_json_does_not_have_is_kept_of_no_part(world: World, figure: Any) -> None:
    part = world.judge([GOOD]).part
    assert part is not None
    read = PartResults.from_json(part, json.loads(part)["contract"])
    assert run._kept(read, world.data) == part
    assert (
        run._kept(replace(read, found=(replace(read.found[0], figure=figure), *read.found[1:])), world.data)
        is None
    )


def test_parts_of_different_contracts_do_not_merge(world: World) -> None:
    part = world.judge([GOOD]).part
    assert part is not None
    read = PartResults.from_json(part, json.loads(part)["contract"])
    with pytest.raises(NeedsWholeError, match="of different contracts"):
        merge(read, replace(read, contract="another"), checks(world.data))


def test_too_many_values_of_a_facet_are_told_by_the_whole_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = grown(world.judge([GOOD]).part)
    monkeypatch.setattr("sluice.quality.engine.profiling._LABEL_COUNTS_MAX", 1)
    with pytest.raises(NeedsWholeError, match="more than 1 combinations of facet, label and group"):
        world.judge([GOOD], first=1, former=part)
    whole = world.judge([GOOD, GOOD])
    assert [each.message for each in whole.report.violations if each.check == "bias"] == [
        "more than 1 combinations of facet, label and group"
    ]
    assert whole.part is None


def test_an_example_of_a_redacted_column_is_kept_without_its_value(tmp_path: Path) -> None:
    schema = {**SCHEMA, "s": {"type": "string", "max_length": 4, "tolerance": 0.9}}
    world = World(tmp_path, contract(schema=schema, redact=["s"], bias=None, quality=[]))
    for count in (300, 1500):
        secrets = [("1", "1", f"secret {n}", "", "true") for n in range(count)]
        part = world.judge([body(secrets)]).part
        assert part is not None
        assert b"secret" not in part
        # They are still counted.
        together = world.judge([body(secrets[:50])], first=1, former=part)
        column = Profile.from_json(together.documents[PROFILE]).columns["s"]
        assert column.present == count + 50
        assert column.distinct == pytest.approx(count, rel=0.1)


def test_long_text_is_not_kept_value_by_value(tmp_path: Path) -> None:
    world = World(tmp_path, contract(schema={**SCHEMA, "s": {"type": "string"}}, bias=None, quality=[]))
    texts = [("1", "1", f"{n} " + "word " * 1000, "", "true") for n in range(100)]
    part = world.judge([body(texts)]).part
    assert part is not None
    assert len(part) < 20_000
