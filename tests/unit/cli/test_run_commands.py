"""What `sluice start`, `retry` and `stop` ask for, refuse and say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke
from caching_world import Caching
from command_world import Hearing
from sluice.catalog import keys
from sluice.catalog.records.builds import Run
from sluice.domain import locations
from sluice.domain.build import step_cache
from sluice.services.build import stopping
from sluice.services.build.stopping import NotStoppedError
from sluice.services.views import costs, reuse
from sluice_cli import log_streams, main, options, run_page

SECOND = "reviews-00002"
CHANGED = {"train.hyperparameters.alpha": 0.3}


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Hearing[Caching]:
    world = Caching.of_registered_model(cloud, invoke)
    stack = Hearing(world, "RunRequested", "start_run")
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    monkeypatch.setattr(log_streams, "step_log", lambda target, step: ["the last line"])
    return stack


def sluice(*arguments: str) -> Any:
    return CliRunner().invoke(main.app, [*arguments])


def test_a_run_is_started_and_named(stack: Hearing[Caching]) -> None:
    result = sluice("start", PIPELINE, "-p", "train.hyperparameters.alpha=0.3")
    assert result.exit_code == 0, result.output
    assert f"started {SECOND} (started by hand)" in result.stdout
    assert "train.hyperparameters.alpha = 0.3" in result.stdout
    assert stack.world.catalog_run(SECOND)["overrides"] == CHANGED


def test_values_are_shown_as_pipeline_yaml_may_have_them(stack: Hearing[Caching]) -> None:
    given = ("-p", "train.cache=false", "-p", "train.compute.spot={max_wait_s: 7200}", "--dry-run")
    told = sluice("start", PIPELINE, *given).stdout
    assert "train.cache = false\n" in told
    assert 'train.compute.spot = {"max_wait_s": 7200}\n' in told


def test_packages_that_differ_are_named_with_their_versions(cloud: fakes.Cloud) -> None:
    kept = {"0" * 64: {"idna": "3.7", "numpy": "2.1.0"}, "1" * 64: {"idna": "3.10", "numpy": "2.1.0"}}
    for digest, packages in kept.items():
        listed = [{"name": name, "version": version} for name, version in packages.items()]
        uri = locations.environment_document(cloud.artifact_bucket, digest)
        cloud.objects.write(uri, json.dumps({"python": "3.12", "packages": listed}).encode())

    def told(before: str | None, now: str) -> list[tuple[str, str | None, str]]:
        changed = {"part": step_cache.PACKAGES, "before": before, "now": now}
        (each,) = reuse.with_changed_packages(cloud, [{"step": "train-0", "differences": [changed]}])
        return [(found["part"], found["before"], found["now"]) for found in each["differences"]][1:]

    assert told("0" * 64, "1" * 64) == [("packages.idna", "3.7", "3.10")]
    # Of what is not known any more all would differ.
    assert told("2" * 64, "1" * 64) == []
    assert told(None, "1" * 64) == []


def test_of_a_run_without_a_job_it_is_said_that_there_is_nothing_to_explain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_page.print_explained({"run_id": SECOND, "status": "skipped"}, [])
    run_page.print_explained({"run_id": SECOND, "status": "running"}, [])
    ended, under_way = capsys.readouterr().out.splitlines()
    assert ended == f"{SECOND} started no job: it ended as skipped"
    assert under_way == f"{SECOND} has started no job yet"


def test_packages_that_are_the_images_own_are_not_called_none(capsys: pytest.CaptureFixture[str]) -> None:
    changed = {"part": step_cache.PACKAGES, "before": "0" * 64, "now": None}
    other = {"part": "environment.A", "before": None, "now": "b"}
    from_ = {"run_id": "r-1", "step": "train-0"}
    run_page.print_reuse(
        [
            {"step": "train-0", "outcome": "computed", "why": None, "compared_with": from_}
            | {"differences": [changed, other]}
        ]
    )
    told = capsys.readouterr().out
    assert "packages: 000000000000 → those of the image\n" in told
    assert "environment.A: none → b\n" in told


def test_with_wait_it_is_followed_to_its_end(stack: Hearing[Caching]) -> None:
    stack.meanwhile = lambda: stack.world.play(SECOND)
    result = sluice("start", PIPELINE, "--wait", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["run"]["status"] == "registered"


def test_a_dry_run_says_what_would_run_and_starts_nothing(stack: Hearing[Caching]) -> None:
    result = sluice("start", PIPELINE, "-p", "train.candidates.space.alpha=[0.1, 0.2, 0.3]", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "3 candidates:" in result.stdout
    assert "alpha=0.3" in result.stdout
    assert stack.world.pipeline.get("in_flight") is None
    planned = json.loads(sluice("start", PIPELINE, "--dry-run", "--json").stdout)
    assert planned["warnings"] == []
    assert [each["alpha"] for each in planned["candidates"]] == [0.1, 0.2]


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["-p", "train.candidates.space.alpha=[0.1, 0.2, 0.3]"],
        ["-p", "train.hyperparameters.alpha=0.3"],
        ["-p", "train.compute.max_runtime_s=600"],
        ["--no-cache"],
    ],
)
def test_a_dry_run_foresees_which_steps_use_what_was_done_before(
    stack: Hearing[Caching], given: list[str]
) -> None:
    """Held against the run itself: what it says to be cached is, and what it says to be computed is not."""
    steps = json.loads(sluice("start", PIPELINE, *given, "--dry-run", "--json").stdout)["foreseen"]["steps"]
    assert sluice("start", PIPELINE, *given).exit_code == 0
    assert stack.world.play(SECOND) == "registered"
    done = {each["step"]: each["outcome"] for each in reuse.explain(stack.world.cloud, PIPELINE, SECOND)}
    told = {each["step"]: each["outcome"] for each in steps}
    assert told.keys() == done.keys()
    assert {step: done[step] for step, outcome in told.items() if outcome != "open"} == {
        step: outcome for step, outcome in told.items() if outcome != "open"
    }
    assert set(told.values()) - {"open"}


def test_a_dry_run_foresees_the_champions_evaluation(stack: Hearing[Caching]) -> None:
    """Held against the runs: it is known from when the champion was a candidate, but not elsewhere."""
    other = ["-p", "evaluate.compute.instance_type=ml.m5.xlarge", "-p", "train.hyperparameters.alpha=0.3"]
    stack.world.release()
    for run_id, outcome in ((SECOND, "cached"), ("reviews-00003", "computed")):
        given = [] if outcome == "cached" else other
        plan = sluice("start", PIPELINE, *given, "--dry-run", "--json").stdout
        told = {each["step"]: each["outcome"] for each in json.loads(plan)["foreseen"]["steps"]}
        assert told["evaluate-champion"] == outcome
        assert sluice("start", PIPELINE, *given).exit_code == 0
        assert stack.world.play(run_id) == "registered"
        done = {each["step"]: each["outcome"] for each in reuse.explain(stack.world.cloud, PIPELINE, run_id)}
        assert {step: done[step] for step in told if told[step] != "open"} == {
            step: outcome for step, outcome in told.items() if outcome != "open"
        }


def test_a_dry_run_names_the_packages_that_are_still_to_be_built(stack: Hearing[Caching]) -> None:
    stack.world.push(pipeline=PIPELINE_YAML.replace('"1.4-2"', '"1.2-1"').encode())
    said = sluice("start", PIPELINE, "--dry-run").stdout
    assert "and once, as its packages for Lambda are still to be built, about $" in said


def test_a_dry_run_says_what_reuse_saves_and_what_is_not_known_yet(stack: Hearing[Caching]) -> None:
    said = sluice("start", PIPELINE, "--dry-run").stdout
    assert f"train-1: cached, train-1 of {RUN} did the same" in said
    assert "with what it uses of former runs about $" in said
    stack.world.upload("b.csv", b"x,y\n3,1\n")
    said = sluice("start", PIPELINE, "--dry-run").stdout
    assert "prepare: not known yet, as there may be other data" in said
    assert "with what it uses" not in said


def test_an_instance_type_that_has_no_price_is_named_with_the_nearest(stack: Hearing[Caching]) -> None:
    result = sluice("start", PIPELINE, "-p", "train.compute.instance_type=ml.m5.larg", "--dry-run")
    assert result.exit_code == 0, result.output
    (said,) = [line for line in result.stdout.splitlines() if "no list price" in line]
    assert "train.compute.instance_type: what runs cost is unknown, as there is no list price of" in said
    assert said.endswith("no list price of ml.m5.larg; did you mean 'ml.m5.large'?")


def test_a_wrong_value_starts_nothing_and_names_what_may_have_been_meant(stack: Hearing[Caching]) -> None:
    result = sluice("start", PIPELINE, "-p", "train.hyperparameters.alhpa=0.3", "-p", "name=x")
    assert "did you mean 'alpha'?" in str(result.exception)
    assert "name cannot be overridden" in str(result.exception)
    assert stack.world.pipeline.get("in_flight") is None


def test_a_version_is_named_by_its_first_digits(stack: Hearing[Caching]) -> None:
    version = stack.world.catalog_run()["dataset_version"]
    assert sluice("start", PIPELINE, "--dataset", version[:8]).exit_code == 0
    assert stack.world.catalog_run(SECOND)["given_dataset"] == version
    result = sluice("start", PIPELINE, "--dataset", "ffffffff")
    assert "no data set version begins with ffffffff" in str(result.exception)


def test_while_a_run_is_in_flight_it_is_named_or_waited_for(stack: Hearing[Caching]) -> None:
    assert sluice("start", PIPELINE).exit_code == 0
    result = sluice("start", PIPELINE)
    assert f"{SECOND} is in flight" in str(result.exception)
    ended: list[str] = []

    def meanwhile() -> None:
        in_flight = str(stack.world.pipeline.get("in_flight"))
        ended.append(stack.world.play(in_flight))

    stack.meanwhile = meanwhile
    result = sluice("start", PIPELINE, "--wait")
    assert result.exit_code == 0, result.output
    assert "started reviews-00003" in result.stdout
    assert ended == ["registered", "registered"]


def test_a_run_that_did_not_fail_is_not_tried_again(stack: Hearing[Caching]) -> None:
    result = sluice("retry", RUN)
    assert f"{RUN} ended as registered: a retry goes on from a run that failed" in str(result.exception)
    assert "there is no run 'reviews-00009'" in str(sluice("retry", "reviews-00009").exception)


def test_a_run_says_whose_outputs_it_uses_and_what_changed(stack: Hearing[Caching]) -> None:
    stack.meanwhile = lambda: stack.world.play(SECOND)
    result = sluice("start", PIPELINE, "-p", "train.hyperparameters.alpha=0.3", "--wait", "--explain-cache")
    assert result.exit_code == 0, result.output
    told = sluice("run", SECOND, "--explain-cache")
    assert told.exit_code == 0, told.output
    assert told.stdout in result.stdout
    assert "hyperparameter.alpha: 0.1 → 0.3" in told.stdout
    assert f"unlike train-0 of {RUN}:" in told.stdout
    as_json = json.loads(sluice("run", SECOND, "--explain-cache", "--json").stdout)
    assert [each["step"] for each in as_json] == ["prepare", "train-0", "evaluate-candidate"]


def test_a_run_shows_which_steps_were_cached(stack: Hearing[Caching]) -> None:
    stack.meanwhile = lambda: stack.world.play(SECOND)
    result = sluice("start", PIPELINE, "--wait")
    assert result.exit_code == 0, result.output
    assert f"train-1: cached, train-1 of {RUN} did the same (key " in result.stdout
    told = sluice("run", SECOND, "--explain-cache")
    assert f"train-1: cached, train-1 of {RUN} did the same" in told.stdout
    assert sluice("start", PIPELINE, "--no-cache").exit_code == 0
    assert stack.world.catalog_run("reviews-00003")["is_uncached"]


# ---------------------------------------------------------------------------------------------------- stop


@pytest.fixture
def running(stack: Hearing[Caching], monkeypatch: pytest.MonkeyPatch) -> Hearing[Caching]:
    """A run whose first job runs, in a stack that hears of executions that are stopped."""
    world = stack.world
    assert sluice("start", PIPELINE, "--no-cache").exit_code == 0
    world.prepare_run(SECOND)
    world.start("prepare", SECOND)
    stop, ended = world.cloud.workflows.stop, set[str]()

    def heard(arn: str, error: str, cause: str) -> None:
        stop(arn, error, cause)
        name = arn.rpartition(":")[2]
        detail = {"executionArn": arn, "name": name, "stateMachineArn": arn, "status": "ABORTED"}
        world.invoke("finish_run", {"detail": detail})
        for job in {*world.cloud.jobs.stopped} - ended:
            ended.add(job)
            world.end("prepare", name, status="Stopped")

    monkeypatch.setattr(world.cloud.workflows, "stop", heard)
    return stack


def test_a_stopped_run_ends_with_its_jobs_and_says_who_and_why(running: Hearing[Caching]) -> None:
    result = sluice("stop", SECOND, "-m", "wrong data")
    assert result.exit_code == 0, result.output
    run = running.world.catalog_run(SECOND)
    said = "stopped by arn:aws:iam::123456789012:user/ada (unverified): wrong data"
    assert (run["status"], run["reasons"]) == ("stopped", [said])
    assert running.world.cloud.jobs.stopped == [f"sluice--{SECOND}-prepare"]
    assert running.world.pipeline.get("in_flight") is None
    assert f"sluice retry {SECOND}" in result.output


def test_what_a_stopped_run_took_up_waits_for_another_build(running: Hearing[Caching]) -> None:
    world = running.world
    sluice("stop", SECOND)
    world.upload("b.csv", b"x,y\n3,1\n")
    assert sluice("start", PIPELINE).exit_code == 0
    world.prepare_run("reviews-00003")
    assert world.arrivals()["reviews/b.csv#v1"] == "included"
    assert sluice("stop", "reviews-00003").exit_code == 0
    assert world.arrivals()["reviews/b.csv#v1"] == "pending"


def test_a_run_that_ended_is_not_stopped(stack: Hearing[Caching]) -> None:
    assert f"{RUN} has ended as registered" in str(sluice("stop", RUN).exception)


def test_a_run_that_has_no_execution_yet_is_not_stopped(running: Hearing[Caching]) -> None:
    running.world.cloud.catalog.update(keys.run_key(PIPELINE, SECOND), {"execution_arn": None})
    with pytest.raises(NotStoppedError, match=f"{SECOND} has no execution yet: try again in a moment"):
        stopping.stop(running.world.cloud, Run.of(running.world.catalog_run(SECOND)), "ada", "")
    assert running.world.catalog_run(SECOND)["status"] == "running"


def test_the_log_of_a_step_that_was_not_computed_is_another_runs(stack: Hearing[Caching]) -> None:
    stack.meanwhile = lambda: stack.world.play(SECOND)
    assert sluice("start", PIPELINE, "--wait").exit_code == 0
    result = sluice("logs", SECOND, "prepare")
    assert f"prepare of {RUN} did the same" in str(result.exception)
    assert f"sluice logs {RUN} prepare" in result.exception.hint


@pytest.mark.parametrize(("given", "condition"), [((), " if it computes every step"), (("--no-cache",), "")])
def test_the_price_of_whole_runs_is_of_one_that_computes_every_step(
    stack: Hearing[Caching], given: tuple[str, ...], condition: str
) -> None:
    said = " ".join(sluice("start", PIPELINE, *given).stdout.split())
    assert re.search(rf"this run costs about \$[0-9.]+{condition} \(as the last complete run", said), said


def test_what_was_not_computed_costs_nothing(stack: Hearing[Caching]) -> None:
    stack.meanwhile = lambda: stack.world.play(SECOND)
    assert sluice("start", PIPELINE, "--wait").exit_code == 0
    found = json.loads(sluice("cost", SECOND, "--json").stdout)
    assert {step["step"]: (step["backend"], step["usd"]) for step in found["steps"]} == dict.fromkeys(
        ("prepare", "train-0", "train-1", "evaluate-candidate"), ("cache", 0.0)
    )


def estimated(*given: str) -> float:
    planned = json.loads(sluice("start", PIPELINE, *given, "--dry-run", "--json").stdout)
    return float(planned["costs"]["estimate"]["usd"])


def test_a_dry_run_prices_the_steps_that_would_run(stack: Hearing[Caching]) -> None:
    """Two candidates were trained; an estimate of one, two and three differs by what one costs."""
    space = "train.candidates.space.alpha="
    one, two, three = (estimated("-p", space + each) for each in ("[0.7]", "[0.7, 0.8]", "[0.7, 0.8, 0.9]"))
    assert 0 < one < two < three
    assert three - two == pytest.approx(two - one)
    cost = costs.run_cost(stack.world.cloud, RUN)
    assert cost is not None
    assert two == pytest.approx(cost["usd"], rel=1e-3)
    said = sluice("start", PIPELINE, "-p", space + "[0.7]", "--dry-run").stdout
    assert "\n  all its steps cost about $" in said
    assert "\n  prepare: " in said
