"""Candidates on the deployed stack: halved by a budget, measured by a file, ranked, followed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from e2e.loop import TINY, Loop, rows
from e2e.test_commands import sluice
from sluice_cli import main, waiting

pytestmark = pytest.mark.thorough

HALVING = (
    "{strategy: halving, space: {bins: {min: 2, max: 20, integer: true}}, max_candidates: 4, max_parallel: 4,"
    " reduction_factor: 2, budget: {hyperparameter: epochs, min: 1, max: 4}, objective: validation:accuracy}"
)
# It reports by metrics.json alone, and dies of one number of bins.
MEASURED = """\
    pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "metrics.json").write_text(
        json.dumps({"validation:accuracy": accuracy(best, rows(os.environ["SM_CHANNEL_VALIDATION"]))})
    )
"""
# It writes the predictions too, as Parquet, with the half that a row lies in.
PREDICTING = """
import pyarrow
import pyarrow.parquet

columns = {
    "id": [str(number) for number in range(len(data))],
    "label": [y for _, y in data],
    "prediction": [int(x > threshold) for x, _ in data],
    "half": ["low" if x < 50 else "high" for x, _ in data],
}
pyarrow.parquet.write_table(pyarrow.table(columns), root / "evaluation/predictions.parquet")
"""
PREDICTED = (
    "  - metrics.accuracy.value >= 0.6\n"
    "  - predictions.accuracy not_worse_than champion by 0.3 with confidence 0.95\n"
    "  - for each half with n >= 10: accuracy >= 0.6\n"
)
TICKING = """\
import sys, time
for tick in range(6):
    print(f"tick {tick}", flush=True)
    time.sleep(0.4)
sys.exit("no more ticks")
"""


def halving(loop: Loop, *, dies_of: int) -> tuple[str, str]:
    """The texts of pipeline.yaml and of the script."""
    pipeline = loop.configure(metrics='[{name: "validation:accuracy"}]')
    start = pipeline.index("  candidates:")
    pipeline = f"{pipeline[:start]}  candidates: {HALVING}\n{pipeline[pipeline.index('  metrics:') :]}"
    train = (TINY / "src/train.py").read_text()
    printed = next(line for line in train.splitlines(keepends=True) if "print(f" in line)
    train = train.replace(printed, MEASURED).replace(
        "    bins = arguments.parse_args().bins\n",
        '    arguments.add_argument("--epochs", type=int)\n'
        "    bins = arguments.parse_args().bins\n"
        f"    if bins == {dies_of}:\n"
        '        raise ValueError(f"cannot train with {bins} bins")\n',
    )
    return pipeline, train


def step_of(run: dict[str, Any], name: str) -> dict[str, Any]:
    return next(step for step in run["steps"] if step["step"] == name)


@pytest.mark.backend("auto")
def test_candidates_are_halved_by_what_a_file_says_and_one_failure_loses_no_other(loop: Loop) -> None:
    # The second of those that seed 0 draws.
    pipeline, train = halving(loop, dies_of=10)
    first, last = pipeline.index("  - metrics."), pipeline.index("serve:")
    pipeline = pipeline[:first] + PREDICTED + pipeline[last:]
    loop.push(pipeline=pipeline, train=train, evaluate=(TINY / "src/evaluate.py").read_text() + PREDICTING)
    run = loop.run_after("a.csv", rows(200, seed=1))
    assert run["status"] == "registered", run["reasons"]
    assert loop.release_after(1)["status"] == "released"
    found = sluice(loop, "candidates", run["run_id"])
    ranked = {row["step"]: row for row in found["candidates"]}
    failed = [row for row in found["candidates"] if row["rank"] is None]
    assert len(ranked) == 4 + 2 + 1
    assert all("cannot train with 10 bins" in row["problem"] for row in failed)
    assert len(failed) == 1
    best = ranked[found["chosen"]]
    assert (best["rank"], best["rung"], best["parameters"]["epochs"]) == (1, 2, 4)
    assert found["why"].startswith(f"{best['step']} has the highest validation:accuracy")
    assert best["metrics"]["validation:accuracy"] > 0.6
    assert found["evaluation"]["accuracy"] > 0.6
    shown = sluice(loop, "run", run["run_id"])
    stages = [stage["name"] for stage in shown["graph"]]
    assert [name for name in stages if "train" in name] == ["train", "train rung 1", "train rung 2"]
    other = loop.run_after("b.csv", rows(200, seed=2))
    gates = {gate["gate"]: gate for gate in step_of(other, "gates")["detail"]}
    (against,) = (gate for text, gate in gates.items() if "champion" in text)
    assert (against["passed"], against["rows"], against["method"]) == (True, 80, "score test of Tango")
    (halves,) = (gate for text, gate in gates.items() if "half" in text)
    assert sorted(each["name"] for each in halves["slices"]) == ["high", "low"]
    assert sum(each["rows"] for each in halves["slices"]) == 80
    compared = sluice(loop, "compare", run["run_id"], other["run_id"])
    assert ["data", "rows"] in [[row["subject"], row["what"]] for row in compared["different"]]


def test_a_log_is_followed_while_a_script_prints_and_its_last_words_are_the_reason(loop: Loop) -> None:
    loop.push(prepare=TICKING)
    loop.upload("a.csv", rows(100, seed=1))
    run_id = waiting.new_run(loop.target, loop.pipeline, set(), timeout_s=120)
    stack = ["--stack", loop.target.stack]
    followed = CliRunner().invoke(main.app, [*stack, "logs", run_id, "prepare", "--follow", "--json"])
    assert followed.exit_code == 0, (followed.output, followed.exception)
    lines = [json.loads(line)["line"] for line in followed.stdout.splitlines()]
    assert [line for line in lines if line.startswith("tick")] == [f"tick {tick}" for tick in range(6)]
    run = waiting.run_end(loop.target, loop.pipeline, run_id, lambda _: None)
    assert "no more ticks" in run["reasons"][0]
    (row,) = sluice(loop, "runs", loop.pipeline)
    assert "no more ticks" in row["reasons"][0]
    shown = sluice(loop, "run", run_id)
    tail = next(step["log_tail"] for step in shown["steps"] if step["step"] == "prepare")
    assert "tick 5" in tail
