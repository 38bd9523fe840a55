"""The project that the demo plays: the example, with times that nobody has to wait for, and with a fault."""

from __future__ import annotations

import shutil
from pathlib import Path

from sluice_cli.errors import CommandError
from sluice_cli.target import REPOSITORY

EXAMPLE = REPOSITORY / "examples/reviews"
_CANARY = {
    "traffic: {type: all_at_once, bake_s: 5, unwatched: true}": (
        "traffic: {type: canary, percent: 50, bake_s: 5, unwatched: true}"
    ),
    "compute: {instance_type: ml.m5.large, instance_count: 1}": (
        "compute: {instance_type: ml.m5.large, instance_count: 2}"
    ),
}
_SHORT_WINDOWS = {
    "label_delay: 7d": "label_delay: 0s",
    "max_loss: 0.05, window: 7d": "max_loss: 0.05, window: 1s",
}
_MODEL_FUNCTION = "def predict_fn(data, model):\n"
_FAULT = """\
    if not isinstance(data, Refusal) and any(len(review) > 400 for review in data):
        raise MemoryError("a long review")
"""
_FIX = """\
    if not isinstance(data, Refusal):
        data = [review[:10_000] for review in data]
"""


def guarded(folder: Path) -> Path:
    """Write the example with a canary, and windows of monitoring that end at once; returns the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder)
    for before, after in (_CANARY | _SHORT_WINDOWS).items():
        _edit(folder / "pipeline.yaml", before, after)
    return folder


def break_model(folder: Path) -> None:
    """Let the model of a project fail on long reviews: no gate sees it, as evaluation does not serve."""
    _edit(folder / "src/inference.py", _MODEL_FUNCTION, _MODEL_FUNCTION + _FAULT)


def mend_model(folder: Path) -> None:
    """Let the model cut long reviews instead."""
    _edit(folder / "src/inference.py", _FAULT, _FIX)


def _edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    if text.count(before) != 1:
        raise CommandError(f"{path} is not as the demo knows it: it lacks {before!r}")
    path.write_text(text.replace(before, after))
