"""A build runs the pipeline that a project's pipeline.py makes, with each SDK: from push to version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from e2e.loop import Loop
from e2e.test_sdk_pipeline import reviews
from sluice.domain import names
from sluice.services.views import runs
from sluice_cli import project, waiting
from sluice_local.settings import REPOSITORY

TIMEOUT_S = 300.0
pytestmark = pytest.mark.thorough


@pytest.fixture
def folder(loop: Loop) -> Path:
    return project.init(loop.folder / loop.pipeline, "sdk-pipeline")


@pytest.mark.timeout(3 * TIMEOUT_S)
@pytest.mark.parametrize(("pipeline", "sdk"), [("pipeline.py", "2"), ("pipeline_v3.py", "3")])
def test_the_pipeline_that_a_push_makes_is_run_shown_and_judged(
    loop: Loop, folder: Path, pipeline: str, sdk: str
) -> None:
    python = REPOSITORY / f".venv/envs/sdk{sdk}/bin/python"
    assert python.exists(), "there is no environment with the SDK: run `make environments`"
    yaml = folder / "pipeline.yaml"
    yaml.write_text(yaml.read_text().replace("pipeline: pipeline.py", f"pipeline: {pipeline}"))
    project.push(loop.target, folder, python=str(python))
    known = waiting.run_ids(loop.target, loop.pipeline)
    loop.upload("part-1.csv", reviews(1))
    run_id = waiting.new_run(loop.target, loop.pipeline, known, timeout_s=TIMEOUT_S)

    seen: dict[str, Any] = {}

    def trains() -> bool:
        """Look at the run while its pipeline executes."""
        found = runs.run(loop.target.cloud, run_id)
        assert found is not None
        seen.update({step["step"]: step["status"] for step in found["steps"]})
        return seen.get(f"{names.OF_PIPELINE}Train") == "InProgress" or found["status"] != "running"

    waiting.until(lambda: trains() or None, timeout_s=TIMEOUT_S, what="the step Train")
    assert seen[f"{names.OF_PIPELINE}Prepare"] == "Completed"
    assert seen[f"{names.OF_PIPELINE}Train"] == "InProgress"
    assert seen[names.PIPELINE] == "InProgress"

    run = waiting.run_end(loop.target, loop.pipeline, run_id, lambda _: None, timeout_s=TIMEOUT_S)
    assert run["status"] == "registered", run["reasons"]
    steps = {step["step"]: step for step in run["steps"]}
    assert steps[f"{names.OF_PIPELINE}Train"]["metrics"]["validation:accuracy"] > 0.6
    assert steps[names.PIPELINE]["outputs"]["package"].endswith("--built/1")
