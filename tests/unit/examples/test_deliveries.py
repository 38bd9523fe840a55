"""The example of xgboost is a project that Sluice takes, with the same data for everybody."""

from __future__ import annotations

import csv
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice.domain.build import projects
from sluice.domain.config import PipelineConfig

EXAMPLE = Path(__file__).parents[3] / "examples" / "deliveries"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["get_data.py", "--out", str(folder)])
        runpy.run_path(str(EXAMPLE / "get_data.py"), run_name="__main__")
    return folder


@pytest.fixture(scope="module")
def config() -> PipelineConfig:
    files = {
        path.relative_to(EXAMPLE).as_posix(): path.read_bytes()
        for path in EXAMPLE.rglob("*")
        if path.is_file() and "data" not in path.parts and "__pycache__" not in path.parts
    }
    return projects.load_project(
        {name: body for name, body in files.items() if not name.startswith(".")}
    ).config


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_sluice_takes_it(config: PipelineConfig) -> None:
    assert config.image_uris("us-east-1")["train"].endswith("/sagemaker-xgboost:3.2-0")


def test_its_data_are_the_same_for_everybody(data: Path) -> None:
    first = rows(data / "part-1.csv")
    assert (len(first), len(rows(data / "part-2.csv"))) == (1500, 3500)
    assert first[0] == {
        "id": "D000000",
        "distance_km": "45.1",
        "weight_kg": "6.5",
        "hour": "15",
        "weekday": "0",
        "carrier": "south",
        "rain_mm": "0.0",
        "late": "1",
    }
    assert 0.2 < sum(int(row["late"]) for row in first) / len(first) < 0.5


def test_its_contract_names_every_column(config: PipelineConfig, data: Path) -> None:
    assert list(config.data.columns) == list(rows(data / "part-1.csv")[0])


def test_a_delivery_stays_in_its_split(data: Path) -> None:
    split_of = _split_of()
    names = [row["id"] for row in rows(data / "part-1.csv")]
    splits = [split_of(name, [0.7, 0.1, 0.2]) for name in names]
    assert splits == [split_of(name, [0.7, 0.1, 0.2]) for name in names]
    shares = {split: splits.count(split) / len(splits) for split in set(splits)}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.04)


def _split_of() -> Callable[[str, list[float]], str]:
    """The example's function, without its imports, which are the image's."""
    source = (EXAMPLE / "src" / "prepare.py").read_text()
    body = source[source.index("def split_of") : source.index("def this_host")]
    namespace: dict[str, Any] = {}
    exec(f'import hashlib\nSPLITS = ("train", "validation", "test")\n{body}', namespace)  # noqa: S102
    found: Callable[[str, list[float]], str] = namespace["split_of"]
    return found
