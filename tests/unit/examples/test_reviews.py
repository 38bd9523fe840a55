"""The example is a project that Sluice takes, and its split keeps the hold-out clean."""

import csv
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from sluice.domain.build import projects
from sluice.domain.config import gate_syntax
from sluice_local.serving.handlers import InferenceService

Row = tuple[str, ...]
Prepare = Callable[..., dict[str, list[Row]]]
EXAMPLE = Path(__file__).parents[3] / "examples" / "reviews"
ROWS: list[Row] = [("P" * 10, f"Review number {number}, rather good.", "great") for number in range(200)]


@pytest.fixture
def project() -> projects.Project:
    paths = [path for path in EXAMPLE.rglob("*") if path.is_file()]
    names = {path: path.relative_to(EXAMPLE).as_posix() for path in paths}
    left_out = projects.left_out(names.values())
    return projects.load_project(
        {name: path.read_bytes() for path, name in names.items() if name not in left_out}
    )


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prepare:
    """Run prepare.py over uploads, below a folder of its own; returns each split's rows."""
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    for name in ("prepare", "reviews"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    script = importlib.import_module("prepare")
    monkeypatch.setattr(script, "PROCESSING", tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare.py", "--split", "[0.7, 0.1, 0.2]", "--seed", "42"])

    def run(**uploads: list[Row]) -> dict[str, list[Row]]:
        data = tmp_path / "input" / "data" / "reviews-sentiment"
        data.mkdir(parents=True, exist_ok=True)
        for name, rows in uploads.items():
            with (data / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([("product", "review", "sentiment"), *rows])
        script.main()
        return {split: read(tmp_path / split) for split in script.SPLITS}

    monkeypatch.setattr(script, "RESOURCES", tmp_path / "resourceconfig.json")
    return run


def read(folder: Path) -> list[Row]:
    found = list[Row]()
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            header, *rows = [tuple(row) for row in csv.reader(file)]
        assert header == ("review", "sentiment")
        found += rows
    return found


def test_the_example_is_a_valid_project(project: projects.Project) -> None:
    assert project.config.name == "reviews-sentiment"
    assert not project.has_requirements
    assert set(json.loads(project.files["sample.json"])) == {"reviews"}


def test_the_gates_and_the_objective_are_what_the_scripts_report(project: projects.Project) -> None:
    evaluate = project.files["src/evaluate.py"].decode()
    for gate in map(gate_syntax.parse, project.config.gates):
        if gate.slice_by is None:
            assert f'"{gate.path[1]}": {{"value"' in evaluate
        else:
            assert f'"{gate.slice_by}"' in evaluate
    (metric,) = project.config.train.metrics
    assert metric.regex
    assert metric.regex.partition("(")[0] in project.files["src/train.py"].decode()


def test_every_review_is_in_one_split_of_about_its_share(prepare: Prepare) -> None:
    splits = prepare(a=ROWS)
    assert sorted(row[0] for rows in splits.values() for row in rows) == sorted(row[1] for row in ROWS)
    assert 120 < len(splits["train"]) < 160
    assert 25 < len(splits["test"]) < 55


def test_a_review_stays_in_its_split_when_more_are_uploaded(prepare: Prepare) -> None:
    before = {split: set(rows) for split, rows in prepare(b=ROWS[:100]).items()}
    after = {split: set(rows) for split, rows in prepare(a=ROWS[100:]).items()}
    assert all(before[split] <= after[split] for split in before)


def test_instances_with_a_part_of_the_data_each_keep_each_others_rows(
    prepare: Prepare, tmp_path: Path
) -> None:
    for host, part in (("algo-1", ROWS[:100]), ("algo-2", ROWS[100:])):
        (tmp_path / "resourceconfig.json").write_text(json.dumps({"current_host": host}))
        splits = prepare(part=part)
    assert sorted(row[0] for rows in splits.values() for row in rows) == sorted(row[1] for row in ROWS)


def test_markup_is_dropped_and_what_then_is_the_same_or_nothing_counts_once(prepare: Prepare) -> None:
    rows = [
        ("p", "Good.<br /><br />Very   good &amp; cheap", "great"),
        ("p", "Good. Very good & cheap", "other"),
        ("p", "<br />", "other"),
    ]
    (row,) = [row for rows in prepare(a=rows).values() for row in rows]
    assert row == ("Good. Very good & cheap", "great")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> InferenceService:
    """The example's serving script around a model that finds every review great."""
    joblib = ModuleType("joblib")
    joblib.__dict__["load"] = lambda path: SimpleNamespace(predict_proba=lambda reviews: Scores(reviews))
    monkeypatch.setitem(sys.modules, "joblib", joblib)
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    monkeypatch.delitem(sys.modules, "inference", raising=False)
    return InferenceService(importlib.import_module("inference"), "/opt/ml/model")


class Scores(list[str]):
    """What predict_proba returns, as far as the script looks at it."""

    def __getitem__(self, _: object) -> list[float]:  # type: ignore[override]
        return [0.9] * len(self)


def test_each_review_is_answered(service: InferenceService) -> None:
    response = service.respond(
        b'{"reviews": ["a", "b"]}', {"Content-Type": "application/json; charset=utf-8"}
    )
    assert response.status == 200
    assert [each["sentiment"] for each in json.loads(response.body)["predictions"]] == ["great", "great"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"tastes great", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"reviews": "one"}', "application/json", 400),
        (b'{"reviews": [1]}', "application/json", 400),
        (b"review", "text/csv", 415),
    ],
)
def test_a_malformed_request_is_its_senders_error(
    service: InferenceService, body: bytes, content_type: str, status: int
) -> None:
    response = service.respond(body, {"Content-Type": content_type})
    assert (response.status, response.headers["Content-Type"]) == (status, "application/json")
    assert json.loads(response.body)["error"]
