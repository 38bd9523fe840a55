"""Runs by hand, on a stack that enforces its roles: start with a value, retry, stop, and what is reused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from e2e.loop import Loop, rows
from sluice.catalog import keys
from sluice_cli import main, waiting

pytestmark = pytest.mark.thorough

# A container's first process gets no SIGTERM that it does not handle.
SLOW = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
time.sleep(600)
"""


def command(loop: Loop, *words: str) -> Any:
    return CliRunner().invoke(main.app, ["--stack", loop.target.stack, *words])


def sluice(loop: Loop, *words: str) -> Any:
    result = command(loop, *words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def cached(run: dict[str, Any]) -> dict[str, str]:
    """Whose outputs the steps of a run use, by step."""
    return {step["step"]: step["cached"]["run_id"] for step in run["steps"] if step.get("cached")}


def test_with_another_value_the_data_are_prepared_already_and_models_are_trained(loop: Loop) -> None:
    loop.push()
    first = loop.run_after("part-1.csv", rows(100, seed=1))
    assert first["status"] == "registered", first
    value = "train.hyperparameters.bins=8"
    run = sluice(loop, "start", loop.pipeline, "-p", value, "--wait")["run"]
    assert run["status"] == "registered", run
    used = cached(run)
    assert used["prepare"] == first["run_id"]
    # Its model may equal a former one, and is then evaluated already.
    assert used.keys() <= {"prepare", "evaluate-candidate"}
    (trained,) = (step for step in run["steps"] if step["step"].startswith("train-"))
    assert trained["hyperparameters"]["bins"] == 8
    manifest = json.loads(loop.target.cloud.objects.read(run["manifest_uri"]))
    assert manifest["overrides"] == {"train.hyperparameters.bins": 8}
    assert any(each.get("run_id") == first["run_id"] for each in manifest["artifacts"])
    told = {each["step"]: each for each in sluice(loop, "run", run["run_id"], "--explain-cache")}
    assert told["prepare"]["outcome"] == "cached"
    (changed,) = told["train-0"]["differences"]
    assert (changed["part"], changed["now"]) == ("hyperparameter.bins", "8")
    again = sluice(loop, "start", loop.pipeline, "-p", value, "--wait")["run"]
    assert again["status"] == "registered"
    assert {"prepare", "train-0", "evaluate-candidate"} <= cached(again).keys()
    # What was reused is released like any other model.
    assert loop.release_after(3)["status"] == "released"
    assert loop.predict()["model_version"] == "3"


@pytest.mark.backend("auto")
def test_a_run_is_stopped_with_its_job_and_tried_again(loop: Loop) -> None:
    loop.push(train=SLOW)
    known = waiting.run_ids(loop.target, loop.pipeline)
    loop.upload("part-1.csv", rows(100, seed=1))
    run_id = waiting.new_run(loop.target, loop.pipeline, known, timeout_s=120)

    def training() -> bool | None:
        item = loop.target.catalog.get(keys.step_key(run_id, "train-0")) or {}
        return True if item.get("status") == "InProgress" else None

    waiting.until(training, timeout_s=120, what="the training to run")
    stopped = sluice(loop, "stop", run_id, "-m", "too slow")
    assert stopped["status"] == "stopped"
    assert stopped["reasons"][0].endswith("(unverified): too slow")

    def ended() -> bool | None:
        item = loop.target.catalog.get(keys.step_key(run_id, "train-0")) or {}
        return True if item.get("status") == "Stopped" else None

    waiting.until(ended, timeout_s=120, what="the job to be stopped")
    retried = sluice(loop, "retry", run_id)["run_id"]
    waiting.until(lambda: None if _is_new(loop, retried) else True, timeout_s=120, what="the retry to train")
    sluice(loop, "stop", retried)
    steps = {step["step"]: step for step in sluice(loop, "run", retried)["steps"]}
    assert steps["prepare"]["cached"]["run_id"] == run_id
    assert "no such" not in command(loop, "run", retried).output


def _is_new(loop: Loop, run_id: str) -> bool:
    item = loop.target.catalog.get(keys.step_key(run_id, "train-0")) or {}
    return item.get("status") != "InProgress"


def test_what_cannot_be_is_refused_by_the_command_and_by_the_stack(loop: Loop) -> None:
    loop.push()
    loop.run_after("part-1.csv", rows(100, seed=1))
    result = command(loop, "start", loop.pipeline, "-p", "train.hyperparameters.bin=1")
    assert "did you mean 'bins'?" in str(result.exception)
    before = waiting.run_ids(loop.target, loop.pipeline)
    loop.deliver("sluice.cli", times=5)
    run = sluice(loop, "start", loop.pipeline, "--no-cache", "--wait")["run"]
    assert run["status"] == "registered", run
    assert waiting.run_ids(loop.target, loop.pipeline) - before == {run["run_id"]}
    assert cached(run) == {}


def test_an_earlier_version_is_built_on_as_it_was(loop: Loop) -> None:
    loop.push()
    first = loop.run_after("part-1.csv", rows(100, seed=1))
    second = loop.run_after("part-1.csv", rows(120, seed=2))
    assert second["dataset_version"] != first["dataset_version"]
    digits = first["dataset_version"][:12]
    run = sluice(loop, "start", loop.pipeline, "--dataset", digits, "--no-cache", "--wait")["run"]
    assert run["status"] == "registered", run
    assert (run["dataset_version"], run["given_dataset"]) == (first["dataset_version"],) * 2
    assert cached(run) == {}
    models = {step["step"]: step["contents"]["model"] for step in run["steps"] if step.get("model_uri")}
    formers = {step["step"]: step["contents"]["model"] for step in first["steps"] if step.get("model_uri")}
    assert models == formers
    # Later data build on the newest version all the same.
    third = loop.run_after("part-2.csv", rows(50, seed=3))
    assert third["status"] in ("registered", "rejected"), third
