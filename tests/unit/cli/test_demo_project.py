"""The project that the demo plays is the example, but for what the demo says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sluice.domain import config
from sluice_cli import demo_project
from sluice_cli.errors import CommandError


def load(folder: Path) -> config.PipelineConfig:
    return config.load((folder / "pipeline.yaml").read_text())


def test_it_has_a_canary_and_windows_that_end_at_once(tmp_path: Path) -> None:
    guarded, example = load(demo_project.guarded(tmp_path / "project")), load(demo_project.EXAMPLE)
    (stage,) = guarded.release.stages
    assert (stage.traffic.type, stage.traffic.percent) == ("canary", 50)
    assert guarded.monitor is not None
    assert (guarded.monitor.label_delay, guarded.monitor.quality.window) == ("0s", "1s")
    assert (guarded.gates, guarded.train, guarded.data) == (example.gates, example.train, example.data)


def test_each_change_of_the_model_is_a_script_of_its_own(tmp_path: Path) -> None:
    folder = demo_project.guarded(tmp_path / "project")
    script = folder / "src/inference.py"
    texts = [script.read_text()]
    for change in (demo_project.break_model, demo_project.mend_model):
        change(folder)
        texts.append(script.read_text())
    assert len(set(texts)) == 3
    for text in texts:
        ast.parse(text)


def test_an_example_that_changed_is_not_played_by_halves(tmp_path: Path) -> None:
    folder = demo_project.guarded(tmp_path / "project")
    (folder / "src/inference.py").write_text("def predict(data, model):\n    return data\n")
    with pytest.raises(CommandError, match=r"inference\.py is not as the demo knows it"):
        demo_project.break_model(folder)
