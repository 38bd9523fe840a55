"""Gates as written now are held against past runs, from what those runs stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from build_world import PIPELINE, PIPELINE_YAML, Invoke, World
from sluice.catalog import keys
from sluice.domain.build.verdicts import NO_CHAMPION
from sluice_cli import main
from sluice_cli.options import Options

FIRST, SECOND = "reviews-00001", "reviews-00002"
Run = Callable[..., Any]


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """Two runs: the first model was registered and is live, the second one is worse and was rejected."""
    return World.of_live_model(cloud, invoke).begin("a worse one", worse)


def worse(world: World) -> None:
    world.accuracies["evaluate-candidate"] = 0.75
    world.accuracies["evaluate-champion"] = 0.8
    assert world.build("b.csv") == "rejected"


@pytest.fixture
def sluice(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    target = SimpleNamespace(cloud=world.cloud, catalog=world.cloud.catalog)
    monkeypatch.setattr(Options, "target", lambda _: target)
    return lambda *words: CliRunner().invoke(main.app, [*words])


def project(tmp_path: Path, gates: str) -> Path:
    start, end = PIPELINE_YAML.index("  - metrics"), PIPELINE_YAML.index("serve:")
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE_YAML[:start] + gates + PIPELINE_YAML[end:])
    return path


def backtested(sluice: Run, *words: str) -> dict[str, Any]:
    result = sluice("gates", "backtest", PIPELINE, "--json", *words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_gates_of_then_say_what_they_said(sluice: Run) -> None:
    found = backtested(sluice)
    assert (found["changed"], found["not_judged"]) == (0, 0)
    assert [(run["run_id"], run["then"], run["now"]) for run in found["runs"]] == [
        (SECOND, "rejected", "rejected"),
        (FIRST, "passed", "passed"),
    ]
    assert "not_worse_than champion by 0.01: 0.75 fails with limit 0.79" in found["runs"][0]["reasons"][0]


def test_other_gates_tell_which_runs_they_would_judge_otherwise(sluice: Run, tmp_path: Path) -> None:
    path = project(tmp_path, "  - metrics.accuracy.value not_worse_than champion by 0.1\n")
    found = backtested(sluice, "--file", str(path))
    assert [(run["run_id"], run["now"], run["is_changed"]) for run in found["runs"]] == [
        (SECOND, "passed", True),
        (FIRST, "passed", False),
    ]
    assert found["runs"][0]["reasons"][0].startswith("then failed metrics.accuracy.value not_worse_than")
    assert found["runs"][0]["gates"] == [
        {
            "gate": "metrics.accuracy.value not_worse_than champion by 0.1",
            "then": None,
            "now": "passed",
            "reason": "0.75 passes with limit 0.7, the champion 0.8",
            "uncompared": False,
        }
    ]
    # The first model passes for lack of a champion.
    assert found["runs"][1]["gates"][0]["uncompared"] is True
    assert found["runs"][1]["reasons"] == [NO_CHAMPION]
    text = sluice("gates", "backtest", PIPELINE, "--file", str(tmp_path))
    assert "1 of 2 runs would be judged otherwise, 0 cannot be judged" in text.stdout
    assert f"next: `sluice report {SECOND} --gates`" in text.stderr


def test_the_newest_runs_alone_are_judged(sluice: Run) -> None:
    assert [run["run_id"] for run in backtested(sluice, "--last", "1")["runs"]] == [SECOND]


def test_a_run_without_what_gates_need_is_not_judged_and_says_why(
    world: World, sluice: Run, tmp_path: Path
) -> None:
    path = project(tmp_path, "  - predictions.accuracy >= 0.7\n")
    first = backtested(sluice, "--file", str(path))["runs"][1]
    assert (first["then"], first["now"]) == ("passed", None)
    assert first["problem"].startswith("the candidate's predictions were not written")
    evaluation = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{FIRST}/evaluate/candidate/evaluation.json"
    world.cloud.objects.write(evaluation, b'{"metrics": {}}')
    assert (
        backtested(sluice)["runs"][1]["problem"]
        == "its evaluation.json was written again after it was judged"
    )
    world.cloud.objects.delete(evaluation)
    assert "evaluation.json was not written" in backtested(sluice)["runs"][1]["problem"]


def test_a_run_that_came_to_no_verdict_says_why(world: World, sluice: Run) -> None:
    world.later(minutes=1)
    assert world.build("bad.csv", b"x,y\n500,7\n") == "data_rejected"
    newest = backtested(sluice)["runs"][0]
    assert (newest["then"], newest["now"]) == (None, None)
    assert newest["problem"].startswith("its gates were not judged: ")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"status": "running"}, "it is still running"),
        (
            {"status": "reproduced", "reproduces": FIRST},
            "it was a reproduction, which is compared and not judged",
        ),
        ({"status": "stopped", "reasons": []}, "its gates were not judged: stopped"),
    ],
)
def test_a_run_that_gates_do_not_judge_says_why(
    world: World, sluice: Run, changed: dict[str, Any], why: str
) -> None:
    world.cloud.catalog.update(keys.run_key(PIPELINE, SECOND), changed)
    step = keys.step_key(SECOND, "gates")
    del world.cloud.catalog.items[step["pk"], step["sk"]]
    world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{SECOND}/gates/gates.json")
    assert backtested(sluice)["runs"][0]["problem"] == why


def test_a_run_of_an_earlier_version_is_judged_by_its_steps(world: World, sluice: Run) -> None:
    for run in (FIRST, SECOND):
        world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run}/gates/gates.json")
    assert [(run["then"], run["now"]) for run in backtested(sluice)["runs"]] == [
        ("rejected", "rejected"),
        ("passed", "passed"),
    ]


def test_a_file_of_another_pipeline_or_with_a_fault_is_refused(
    sluice: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project(tmp_path, "  - metrics.accuracy.value >= 0.7\n")
    path.write_text(path.read_text().replace("name: reviews", "name: others"))
    result = sluice("gates", "backtest", PIPELINE, "--file", str(path))
    assert "is of the pipeline 'others', not of 'reviews'" in str(result.exception)
    path = project(tmp_path, "  - metrics.acuracy.value better_than champion with confidence 0.95\n")
    assert "did you mean 'accuracy'" in str(
        sluice("gates", "backtest", PIPELINE, "--file", str(path)).exception
    )


def test_the_page_of_the_gates_is_a_file_whose_path_is_said(sluice: Run, tmp_path: Path) -> None:
    path = Path(sluice("report", SECOND, "--gates").stdout.strip())
    assert path.name == f"{SECOND}-gates.html"
    page = path.read_text()
    assert "Rejected: gates of reviews-00002" in page
    assert "version 1, which served on production" in page
    found = json.loads(
        sluice("report", SECOND, "--gates", "--json", "--out", str(tmp_path / "x.html")).stdout
    )
    assert (found["passed"], found["file"]) == (False, str(tmp_path / "x.html"))


def test_a_run_without_a_verdict_has_no_page_of_gates(world: World, sluice: Run) -> None:
    world.later(minutes=1)
    world.build("bad.csv", b"x,y\n500,7\n")
    assert "were not judged: it is data_rejected" in str(
        sluice("report", "reviews-00003", "--gates").exception
    )
    assert "no data set version" in str(sluice("report", SECOND, "abcd", "--gates").exception)


def test_gates_in_slices_may_stand_in_yaml_as_they_are_written(
    world: World, sluice: Run, tmp_path: Path
) -> None:
    path = project(tmp_path, "  - for each category with n >= 30: recall >= 0.6\n")
    assert backtested(sluice, "--file", str(path))["gates"] == [
        "for each category with n >= 30: recall >= 0.6"
    ]
