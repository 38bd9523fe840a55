"""Run the project's scripts as plain subprocesses, one after the other, candidates in parallel.

Run inside a private /opt/ml by `loop.py`: `python plain_loop.py SCRIPTS WITH_CHAMPION`, with the image's
interpreter. It does what a careful person's shell script would do, without what Sluice adds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path("/opt/ml")
SPEC = json.loads(sys.argv[1])


def run(script: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, f"{SPEC['scripts']}/{script}", *arguments],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
    )


def finish(*processes: subprocess.Popen[bytes]) -> None:
    if any(process.wait() for process in processes):
        sys.exit("a script failed")


def train(index: int, hyperparameters: dict[str, str]) -> subprocess.Popen[bytes]:
    model = ROOT / f"candidates/{index}"
    model.mkdir(parents=True, exist_ok=True)
    arguments = [text for name, value in hyperparameters.items() for text in (f"--{name}", value)]
    channels = {
        f"SM_CHANNEL_{name.upper()}": str(ROOT / "processing" / name) for name in ("train", "validation")
    }
    return run(
        "train.py", *arguments, SM_MODEL_DIR=str(model), SM_OUTPUT_DATA_DIR=str(ROOT / "output"), **channels
    )


def evaluate(index: int) -> None:
    target = ROOT / "processing/model"
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target / "model.tar.gz", "w:gz") as archive:
        for path in sorted((ROOT / f"candidates/{index}").iterdir()):
            archive.add(path, arcname=path.name)
    finish(run("evaluate.py"))


start = time.perf_counter()
finish(run("prepare.py", *SPEC["prepare_arguments"]))
finish(*(train(index, candidate) for index, candidate in enumerate(SPEC["candidates"])))
for index in range(SPEC["evaluations"]):
    evaluate(index % len(SPEC["candidates"]))
print(json.dumps({"seconds": time.perf_counter() - start}))
