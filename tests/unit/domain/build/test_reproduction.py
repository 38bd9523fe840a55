"""What comes of a manifest again is compared with what came of it before."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import Any

import pytest

from sluice.domain import config
from sluice.domain.build import archives, candidates, reproduction
from sluice.domain.config import PipelineConfig, overrides


@pytest.mark.parametrize(
    ("files", "metrics", "verdict", "said"),
    [
        (({"m": "1"}, {"m": "1"}), ({"a": 0.8}, {"a": 0.8}), "reproduced", "the model is the same"),
        (({"m": "1"}, {"m": "1"}), ({"a": 0.8}, {"a": 0.2}), "reproduced", "a is 0.2, not 0.8 within 0.01"),
        (({"m": "1"}, {"m": "2"}), ({"a": 0.8}, {"a": 0.79}), "reproduced", "every metric is within 0.01"),
        (({"m": "1"}, {"m": "2"}), ({"a": 0.8}, {"a": 0.78}), "differed", "a is 0.78, not 0.8 within 0.01"),
        (
            ({"m": "1"}, {"m": "1", "n": "2"}),
            ({"a": 1.0}, {"a": 1.0}),
            "reproduced",
            "the model differs in n",
        ),
        (({"m": "1"}, {"m": "2"}), ({"a": 0.8}, {}), "differed", "a is missing, not 0.8"),
        (({"m": "1"}, {"m": "2"}), ({}, {"a": 0.8}), "differed", "the original has no metric"),
        (({"m": "1"}, {"m": "2"}), ({"a": None}, {"a": 0.8}), "differed", "the original has no metric"),
        (({"m": "1"}, {"m": "2"}), ({"a": 0.8}, {"a": None}), "differed", "a is missing, not 0.8"),
        (({}, {}), ({"a": 0.8}, {"a": 0.8}), "reproduced", "neither model has a file"),
        (({}, {}), ({}, {}), "differed", "neither model has a file"),
    ],
)
def test_the_same_files_or_close_metrics_are_a_reproduction(
    files: Any, metrics: Any, verdict: str, said: str
) -> None:
    found = reproduction.compare(files, metrics)
    assert found.verdict == verdict
    assert said in "; ".join(found.reasons)


def test_many_files_that_differ_are_counted() -> None:
    files: dict[str, str] = {f"f{number}": "1" for number in range(9)}
    found = reproduction.compare((files, {}), ({}, {}))
    assert "f4 and 4 more" in found.reasons[0]


def test_a_wider_tolerance_takes_more() -> None:
    files, metrics = ({"m": "1"}, {"m": "2"}), ({"a": 0.8}, {"a": 0.7})
    assert reproduction.compare(files, metrics, 0.1).verdict == "reproduced"
    assert reproduction.compare(files, metrics, 0.0).verdict == "differed"


def test_only_the_chosen_candidate_is_trained_with_what_it_had(pipeline_config: PipelineConfig) -> None:
    document: dict[str, Any] = {
        "parameters": {"train": {"epochs": "3", "penalty": '"l1"', "alpha": "1e-05"}},
        "overrides": {"prepare.parameters.seed": 7, "train.candidates.space.alpha": [1.0]},
    }
    given = reproduction.overrides(document)
    applied = overrides.applied(pipeline_config, given)
    (name,) = candidates.first(applied.train)
    assert candidates.of_step(applied.train, f"train-{name}") == document["parameters"]["train"]
    assert applied.prepare.parameters["seed"] == 7
    assert config.restore(config.dump(applied)) == applied


def archive(files: dict[str, bytes], mtime: int, order: int = 1) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as made:
        folder = tarfile.TarInfo("code")
        folder.type = tarfile.DIRTYPE
        made.addfile(folder)
        for path in sorted(files)[::order]:
            info = tarfile.TarInfo(path)
            info.size, info.mtime = len(files[path]), mtime
            made.addfile(info, io.BytesIO(files[path]))
    return gzip.compress(raw.getvalue(), mtime=mtime)


def test_an_archive_is_its_files_whenever_it_was_made() -> None:
    files = {"model.joblib": b"x" * 3_000_000, "./code/a.py": b"a"}
    first, second = (archive(files, mtime, order) for mtime, order in ((1, 1), (2, -1)))
    assert first != second
    assert archives.contents([first]) == archives.contents([second[:100], second[100:]])
    assert set(archives.contents([first])) == {"model.joblib", "code/a.py"}
    assert archives.contents([first]) != archives.contents([archive({**files, "./code/a.py": b"b"}, 1)])
