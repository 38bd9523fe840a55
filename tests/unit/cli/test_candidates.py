"""`sluice candidates`, `compare` and `run` show what runs tried, over a stack of fakes."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from caching_world import Caching
from command_world import Stack
from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.domain import locations
from sluice.services.views import graph
from sluice_cli import candidate_commands, log_streams, main, output, waiting
from sluice_cli.errors import CommandError
from sluice_cli.options import Options

SECOND, NOW = "reviews-00002", "2026-01-02T00:00:00.000Z"
HALVING = PIPELINE_YAML.replace(
    "{space: {alpha: [0.1, 0.2]}, objective: accuracy}",
    "{strategy: halving, space: {alpha: {min: 0, max: 1}}, max_candidates: 4, objective: accuracy,"
    " budget: {hyperparameter: epochs, min: 1, max: 2}, reduction_factor: 2}",
)


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(Options, "target", lambda _: Stack(cloud))
    monkeypatch.setattr(log_streams, "step_log", lambda target, step: ["last words"])
    world = World(cloud, invoke)
    world.push()
    return world


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, arguments, catch_exceptions=False)


def answer(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def lines(*arguments: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in call(*arguments).stdout.splitlines()]


def test_candidates_are_ranked_with_the_champion_beneath(world: World) -> None:
    world.build("a.csv")
    world.release()
    world.later(hours=1)
    world.accuracies["train-0"] = 0.95
    world.build("b.csv", ROWS + b"3,1\n")
    found = lines("candidates", SECOND)
    assert found[1] == ["candidate", "status", "alpha", "accuracy", "took", "cost"]
    assert found[2][:5] == ["✔", "train-0", "Completed", "0.1", "0.95"]
    assert found[3][:5] == ["2", "train-1", "Completed", "0.2", "0.9"]
    # Its own run's numbers.
    assert found[4][:5] == ["♛", "reviews/1", "champion", "0.2", "0.9"]
    assert found[2][-2:] == ["300.0s", "$0.01"]
    text = call("candidates", SECOND).stdout
    assert "chosen: train-0 has the highest accuracy, 0.95, of 2 candidates" in text
    assert "train-0 on the hold-out: accuracy 0.85" in text
    assert "reviews/1 on the hold-out: accuracy 0.8" in text


def test_a_champion_whose_version_is_not_on_record_has_a_name_all_the_same(world: World) -> None:
    world.build("a.csv")
    world.release()
    key = keys.deployment_key(PIPELINE, "production", f"release-of-{RUN}")
    del world.cloud.catalog.items[key["pk"], key["sk"]]
    assert world.build("b.csv", ROWS + b"3,1\n") == "rejected"
    assert "• a model that is gone: the catalog has no record" in call("candidates", SECOND).stdout


@pytest.mark.usefixtures("world")
def test_a_candidate_that_was_reused_is_shown_as_cached_and_costs_nothing(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    reusing = Caching(cloud, invoke)
    reusing.build("a.csv")
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": "r1", "actor": "ada"}
    reusing.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    assert reusing.play(SECOND) == "registered"
    found = answer("candidates", SECOND)["candidates"]
    told = [(row["cached"], row["cost_usd"], row["value"]) for row in found]
    assert told == [(True, 0, 0.9), (True, 0, 0.8)]
    assert ["✔", "train-1", "cached", "0.2", "0.9"] in [words[:5] for words in lines("candidates", SECOND)]


def test_the_leaderboard_for_programs_has_the_same(world: World) -> None:
    world.build("a.csv")
    found = answer("candidates", RUN)
    assert (found["chosen"], found["champion"], found["evaluation"]) == ("train-1", None, {"accuracy": 0.85})
    best, other = found["candidates"]
    assert (best["rank"], best["parameters"], best["value"]) == (1, {"alpha": 0.2}, 0.9)
    assert (best["is_chosen"], other["is_chosen"]) == (True, False)
    assert (other["rank"], other["problem"], other["duration_s"]) == (2, None, 300.0)


def test_a_candidate_that_failed_comes_last_with_its_reason(world: World) -> None:
    world.failing = {"train-0"}
    world.build("a.csv")
    found = answer("candidates", RUN)
    assert [(row["step"], row["rank"]) for row in found["candidates"]] == [("train-1", 1), ("train-0", None)]
    assert "• train-0 Failed: cannot load the model" in call("candidates", RUN).stdout


def test_rungs_are_ranked_by_budget_first(world: World) -> None:
    world.push(pipeline=HALVING.encode())
    world.accuracies |= {f"train-{index}": 0.9 for index in range(4)} | {"train-0-r1": 0.5}
    world.accuracies["train-1-r1"] = 0.6
    world.build("a.csv")
    found = answer("candidates", RUN)
    assert found["parameters"] == ["alpha", "epochs"]
    ranked = [(row["step"], row["parameters"]["epochs"]) for row in found["candidates"]]
    assert ranked[:3] == [("train-1-r1", 2), ("train-0-r1", 2), ("train-0", 1)]


def test_a_run_that_trains_shows_what_is_to_come(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    assert "no candidate was started yet" in call("candidates", RUN).stdout
    world.start("train-0")
    world.end("train-0")
    text = call("candidates", RUN).stdout
    assert "1 of 2 to come" in text
    assert "✔" not in text


def test_a_candidate_that_is_under_way_has_no_problem_yet(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    world.job("prepare")
    world.start("train-0")
    (row,) = [each for each in answer("candidates", RUN)["candidates"] if each["step"] == "train-0"]
    assert (row["rank"], row["problem"]) == (None, None)


def test_runs_are_compared_with_what_differs_first(world: World) -> None:
    world.build("a.csv")
    world.later(hours=2)
    world.push(pipeline=PIPELINE_YAML.replace("0.1, 0.2", "0.1, 0.3").encode())
    world.accuracies["train-1"] = 0.95
    world.build("b.csv", ROWS + b"3,1\n")
    found = answer("compare", RUN, SECOND)
    different = {(row["subject"], row["what"]): row["values"] for row in found["different"]}
    assert different["parameters", "train alpha"] == [0.2, 0.3]
    assert different["metrics", "train accuracy"] == [0.9, 0.95]
    assert different["data", "rows"] == [2, 5]
    durations = {
        row["what"] for row in (*found["different"], *found["same"]) if row["subject"] == "durations"
    }
    assert durations >= {"run", "all candidates", "chosen candidate", "prepare", "evaluate-candidate"}
    assert different["code", "project"][0] != different["code", "project"][1]
    same = {(row["subject"], row["what"]): row["values"] for row in found["same"]}
    assert same["metrics", "hold-out accuracy"] == [0.85, 0.85]
    assert same["gates", "metrics.accuracy.value >= 0.7"] == ["passed", "passed"]
    text = call("compare", RUN, SECOND).stdout
    assert text.index("train alpha") < text.index("the same") < text.index("hold-out accuracy")
    assert "+0.05" in text


def test_changes_are_written_as_the_values_are(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        ("data", "size_bytes", [632_101, 2_094_966]),
        ("data", "version", ["e697b3b28948", "8d9a5a4ce6f2"]),
        ("durations", "run", [27.1, 7.33]),
        ("cost", "usd", [0.00087, 0.0010144]),
        ("cost", "unknown", [None, 0.001]),
        ("metrics", "train loss", [0.5, 0.4375]),
        ("metrics", "accuracy", [0.77071, 0.77074]),
        ("metrics", "recall", [None, 0.25]),
        ("data", "mode", ["append", 7]),
    ]
    named = [{"subject": subject, "what": what, "values": values} for subject, what, values in rows]
    candidate_commands._print_different(named, ["a", "b"])
    found = [line.split()[-3:] for line in capsys.readouterr().out.splitlines()[2:]]
    assert found == [
        ["632,101", "2,094,966", "+1,462,865"],
        ["version", "e697b3b28948", "8d9a5a4ce6f2"],
        ["27.1s", "7.3s", "\u221219.8s"],
        ["$0.00087", "$0.0010", "+$0.00014"],
        ["unknown", "-", "$0.0010"],
        ["0.5", "0.4375", "\u22120.0625"],
        ["0.77071", "0.77074", "+3e-05"],
        ["recall", "-", "0.25"],
        ["mode", "append", "7"],
    ]


def test_long_gates_leave_the_other_rows_of_a_comparison_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    console = output.console(file=text, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "out", console)
    monkeypatch.setattr(candidate_commands, "out", console)
    gate = "metrics.accuracy.value not_worse_than champion by 0.02 with confidence 0.95"
    rows = [("data", "rows", [500, 1300]), ("gates", gate, ["passed", "failed"])]
    named = [{"subject": subject, "what": what, "values": values} for subject, what, values in rows]
    candidate_commands._print_different(named, ["reviews-00001", "reviews-00002"])
    candidate_commands._print_same([{**named[1], "values": ["passed", "passed"]}])
    assert text.getvalue().splitlines() == [
        "different",
        "            reviews-00001  reviews-00002  change",
        "data  rows  500            1,300          +800",
        gate,
        "    reviews-00001: passed  reviews-00002: failed",
        "the same",
        "gates metrics.accuracy.value not_worse_than champion by 0.02 with confidence",
        "  0.95: passed",
    ]


def test_several_runs_are_compared_and_one_is_not(world: World) -> None:
    for name in ("a", "b", "c"):
        world.build(f"{name}.csv", f"x,y\n{ord(name) - 90},1\n2,0\n".encode())
        world.later(hours=2)
    rows = answer("compare", RUN, SECOND, "reviews-00003")["different"]
    assert all(len(row["values"]) == 3 for row in rows)
    with pytest.raises(CommandError, match=f"{RUN} was named each time: name another run"):
        call("compare", RUN, RUN)
    with pytest.raises(CommandError, match=f"{RUN} is compared with nothing"):
        call("compare", RUN)
    with pytest.raises(CommandError, match="there is no run 'reviews-00009'"):
        call("compare", RUN, "reviews-00009")


def packages_compared(kind: str, *runs: str) -> dict[str, list[Any]]:
    """The rows about packages that are different or the same, with the values of each run."""
    rows = answer("compare", *runs)[kind]
    return {row["what"]: row["values"] for row in rows if row["subject"] == "packages"}


def test_packages_are_compared_one_by_one_only_where_all_are_known(world: World) -> None:
    """A run that registered nothing has no manifest, and so no packages: it differs in none of them."""
    world.build("a.csv")
    world.later(hours=2)
    world.accuracies["evaluate-candidate"] = 0.5
    world.build("b.csv", ROWS + b"3,1\n")
    uri = world.catalog_run()["manifest_uri"]
    document = json.loads(world.cloud.objects.read(uri))
    packages = {"numpy": "2.1.0", "pandas": "2.3.2"}
    document["environments"] = [{"steps": ["train-1"], "python": "3.11", "packages": packages}]
    stored = json.dumps(document).encode()
    world.cloud.objects.write(uri, stored)
    sha256 = hashlib.sha256(stored).hexdigest()
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_sha256": sha256})
    assert packages_compared("different", RUN, SECOND) == {"Python": ["3.11", None], "how many": [2, None]}


def test_the_packages_of_a_job_on_lambda_are_known_of_runs_that_registered_nothing(world: World) -> None:
    digest = "1" * 64
    listed = [{"name": "numpy", "version": "2.1.0"}]
    uri = locations.environment_document(world.cloud.artifact_bucket, digest)
    world.cloud.objects.write(uri, json.dumps({"python": "3.12", "packages": listed}).encode())
    world.accuracies["evaluate-candidate"] = 0.5
    world.build("a.csv")
    world.later(hours=2)
    world.build("b.csv", ROWS + b"3,1\n")
    for run_id in (RUN, SECOND):
        world.cloud.catalog.update(keys.step_key(run_id, "train-1"), {"environment": digest})
    assert packages_compared("same", RUN, SECOND) == {"Python": ["3.12"] * 2, "how many": [1, 1]}


def test_a_run_is_shown_as_a_graph_with_what_was_chosen_and_why(world: World) -> None:
    world.build("a.csv")
    text = call("run", RUN).stdout
    found = [line.split() for line in text.splitlines()]
    assert "  cause: 1 new object" in text
    stages = [line.split()[1] for line in text.splitlines() if line.startswith("✔")]
    jobs = ["prepare", "train", "select", "evaluate"]
    assert stages == ["data", "validate", "packages", *jobs, "gates", "register"]
    assert ["├", "train-0", "Completed", "300.0s", "sagemaker", "alpha=0.1", "accuracy", "0.8"] in found
    chosen = ["└", "train-1", "←", "chosen", "Completed", "300.0s", "sagemaker"]
    assert [*chosen, "alpha=0.2", "accuracy", "0.9"] in found
    assert "  chosen: train-1 has the highest accuracy, 0.9, of 2 candidates" in text


def test_a_run_shows_how_each_gate_was_judged(world: World) -> None:
    world.build("a.csv")
    assert "  ✔ metrics.accuracy.value >= 0.7: 0.85 passes with limit 0.7\n" in call("run", RUN).stdout


def test_gates_that_refuse_a_candidate_are_no_success(world: World) -> None:
    world.accuracies["evaluate-candidate"] = 0.5
    world.build("a.csv")
    found = answer("run", RUN)
    assert [stage["name"] for stage in found["graph"] if stage["state"] == "failed"] == ["gates"]
    text = call("run", RUN).stdout
    assert "✘ gates " in text
    (reason,) = found["reasons"]
    assert text.count(reason) == 1
    assert f"  ✘ {reason}" in text


def test_the_graph_of_a_run_under_way_shows_what_is_to_come(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    world.start("prepare")
    found = answer("run", RUN)["graph"]
    states = {stage["name"]: (stage["state"], stage["after"]) for stage in found}
    assert states["data"] == ("done", None)
    assert states["prepare"] == ("running", "validate")
    assert states["register"] == ("waiting", "gates")
    assert f"next: `sluice logs {RUN} --follow` prints what its jobs do" in " ".join(
        call("run", RUN).stderr.split()
    )


def test_a_step_and_the_building_of_packages_say_how_long_they_have_taken(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    task = world.common(RUN) | {"dataset_version": world.prepare_run()["dataset_version"]}
    world.invoke("validate_data", task)
    world.cloud.catalog.apply(builds.reach(PIPELINE, RUN, "packaged", world.cloud.now()))
    world.later(seconds=18)
    assert ["▸", "packages", "18.0s", "so", "far"] in lines("run", RUN)
    assert waiting_for(world) == "packages 18 s"
    world.start("prepare")
    world.later(seconds=7)
    (prepare,) = [line for line in lines("run", RUN) if "prepare" in line and "InProgress" in line]
    assert " ".join(prepare).startswith("▸ prepare InProgress 7.0s so far")
    assert ["✔", "packages", "18.0s"] in lines("run", RUN)
    assert waiting_for(world) == "prepare 7 s"


def test_a_stage_that_was_stopped_halfway_was_not_done() -> None:
    steps = [{"step": "train-0", "status": "Completed"}, {"step": "train-1", "status": "Stopped"}]
    (train,) = [each for each in graph.stages({"status": "stopped"}, steps, "") if each["name"] == "train"]
    assert train["state"] == "failed"
    (train,) = [each for each in graph.stages({"status": "registered"}, steps, "") if each["name"] == "train"]
    assert train["state"] == "done"


def waiting_for(world: World) -> str:
    """What a command that waits for the run says at once."""
    said = list[str]()
    with pytest.raises(CommandError, match="in vain"):
        waiting.run_end(Stack(world.cloud), PIPELINE, RUN, said.append, timeout_s=0)  # type: ignore[arg-type]
    return said[0]


def test_data_that_several_invocations_read_say_how_far_they_are(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    world.cloud.catalog.apply(builds.know_objects(PIPELINE, RUN, 30_000, {}))
    (line,) = [line for line in call("run", RUN).stdout.splitlines() if " validate " in line]
    assert line.split() == ["▸", "validate", "30,000", "objects", "read"]
    assert answer("run", RUN)["known_objects"] == 30_000


def test_the_graph_of_a_failed_run_ends_where_it_failed(world: World) -> None:
    world.failing = {"prepare"}
    world.build("a.csv")
    found = answer("run", RUN)["graph"]
    assert [(stage["name"], stage["state"]) for stage in found] == [
        ("data", "done"),
        ("validate", "done"),
        ("packages", "done"),
        ("prepare", "failed"),
    ]
    assert "last words" in call("run", RUN).stdout


def test_a_run_whose_candidates_report_nothing_failed_in_selecting_one(world: World) -> None:
    del world.accuracies["train-0"], world.accuracies["train-1"]
    world.build("a.csv")
    found = answer("run", RUN)["graph"]
    assert [(stage["name"], stage["state"]) for stage in found][-2:] == [
        ("train", "done"),
        ("select", "failed"),
    ]
    assert "✘ select" in call("run", RUN).stdout
    # The leaderboard says what was found then, as the run does.
    for told in (answer("candidates", RUN)["candidates"], answer("run", RUN)["steps"]):
        mine = next(each for each in told if each["step"] == "train-0")
        assert "the script wrote no " in (mine.get("problem") or mine.get("remark"))


@pytest.mark.parametrize(
    ("stage", "steps"),
    [
        # The gates decide about a champion without an evaluation, and need the candidate's.
        ("evaluate", {"evaluate-candidate": "Failed", "evaluate-champion": "Completed"}),
        ("evaluate", {"evaluate-candidate": "Completed", "evaluate-champion": "InProgress"}),
        ("train", {"train-0": "Completed", "train-1": "Stopped"}),
        # One of these may fail.
        ("gates", {"evaluate-candidate": "Completed", "evaluate-champion": "Failed"}),
        ("select", {"train-0": "Completed", "train-1": "Failed"}),
    ],
)
def test_a_failed_run_came_no_further_than_what_it_waited_for(stage: str, steps: dict[str, str]) -> None:
    run = {"status": "failed", "dataset_version": "1", "validated_at": NOW}
    listed: list[dict[str, Any]] = [{"step": "prepare", "status": "Completed", "started_at": NOW}]
    for step, status in steps.items():
        because = {"stopped_because": "its run had ended"} if status == "Stopped" else {}
        listed.append({"step": step, "status": status, "started_at": NOW, **because})
    found = graph.stages(run, listed, NOW)
    assert [each["name"] for each in found if each["state"] == "failed"] == [stage] == [found[-1]["name"]]


def test_the_graph_of_rejected_data_ends_at_their_validation(world: World) -> None:
    world.build("a.csv", b"x,y\n1000,0\n")
    found = answer("run", RUN)["graph"]
    assert [(stage["name"], stage["state"]) for stage in found] == [("data", "done"), ("validate", "failed")]
