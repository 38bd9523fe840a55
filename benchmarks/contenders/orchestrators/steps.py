"""The steps that all orchestrators run: the project's scripts as plain processes, in a private /opt/ml.

The variable `LOOP_SPEC` is JSON: `python` (of the framework's image), `scripts` (their folder),
`prepare_arguments`, `candidates` (hyperparameters of each).
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

ROOT = Path("/opt/ml")
SPEC = json.loads(os.environ["LOOP_SPEC"])
CANDIDATES = range(len(SPEC["candidates"]))


def prepare() -> None:
    _run("prepare.py", *SPEC["prepare_arguments"])


def train(index: int) -> int:
    """Train a candidate; returns its index, for whoever passes results on."""
    model = ROOT / f"candidates/{index}"
    model.mkdir(parents=True, exist_ok=True)
    hyperparameters = SPEC["candidates"][index]
    arguments = [text for name, value in hyperparameters.items() for text in (f"--{name}", value)]
    channels = {
        f"SM_CHANNEL_{name.upper()}": str(ROOT / "processing" / name) for name in ("train", "validation")
    }
    output = str(ROOT / "output")
    _run("train.py", *arguments, SM_MODEL_DIR=str(model), SM_OUTPUT_DATA_DIR=output, **channels)
    return index


def evaluate(index: int) -> None:
    target = ROOT / "processing/model"
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target / "model.tar.gz", "w:gz") as archive:
        for path in sorted((ROOT / f"candidates/{index}").iterdir()):
            archive.add(path, arcname=path.name)
    _run("evaluate.py")


def _run(script: str, *arguments: str, **variables: str) -> None:
    subprocess.run(
        [SPEC["python"], f"{SPEC['scripts']}/{script}", *arguments],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        check=True,
    )
