"""The examples' scripts, in their image's packages."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from sluice_local.sagemaker.containers.images import ImageCache
from sluice_local.settings import REPOSITORY, Settings

IMAGE = "sagemaker-scikit-learn:1.4-2-cpu-py3"


@pytest.mark.thorough
@pytest.mark.parametrize("example", ["reviews", "sdk-pipeline"])
def test_the_reviews_train_to_the_same_file_each_time(example: str, tmp_path: Path) -> None:
    """Then a reproduction compares the model itself, and not only its metrics."""
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "validation"):
        with (data / f"{split}.csv").open("w", newline="") as file:
            rows = [
                (f"word{n} and word{n % 7}, rather good", "great" if n % 2 else "other") for n in range(90)
            ]
            csv.writer(file).writerows([("review", "sentiment"), *rows])
    image = ImageCache(Settings(port=0, state_dir=tmp_path).image_cache).environment(IMAGE)
    script = REPOSITORY / "examples" / example / "src/train.py"
    models = [
        _trained(image.python, script, data, tmp_path / folder, seed)
        for folder, seed in (("a", "1"), ("b", "2"))
    ]
    assert models[0] == models[1]


def _trained(python: Path, script: Path, data: Path, folder: Path, hash_seed: str) -> bytes:
    """Train with another order of sets and other addresses; return the model's bytes."""
    folder.mkdir()
    given = ("--train", data, "--validation", data, "--model-dir", folder)
    subprocess.run([python, script, *given], check=True, env={"PYTHONHASHSEED": hash_seed}, timeout=120)
    return (folder / "model.joblib").read_bytes()
