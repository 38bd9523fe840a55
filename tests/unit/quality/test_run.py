"""A validation holds the statistics against what the contract is now, and says what it could not measure."""

import json
from datetime import UTC, datetime
from pathlib import Path

from sluice.domain.config.models import Data
from sluice.quality import run
from sluice.quality.engine import DataFile
from sluice.quality.judging import Baseline, Terms
from sluice.quality.report import html
from sluice.quality.run import Limits, Outcome, Work
from sluice.quality.statistics.profiles import Profile


def validated(folder: Path, text: str, contract: dict[str, object], baseline: Baseline) -> Outcome:
    path = folder / "data.csv"
    path.write_text(text)
    fields = {"format": "csv", "mode": "append", "label": "y", **contract}
    terms = Terms(Data.model_validate(fields, strict=False), baseline, datetime(2026, 1, 1, tzinfo=UTC))
    work = Work([DataFile("data.csv", path)], terms, Limits(256, None, folder))
    return run.validate(work, title="data")


def test_a_column_that_the_contract_has_no_longer_is_not_missed(tmp_path: Path) -> None:
    y = {"y": {"type": "integer"}}
    first = validated(
        tmp_path, "x,y\n" + "1,0\n2,1\n" * 500, {"schema": {"x": {"type": "integer"}, **y}}, Baseline()
    )
    profile = Profile.from_json(first.documents["profile.json"])
    contract = {"schema": y, "drift": {"max": 0.2, "max_missing_change": 0.1}}
    later = validated(tmp_path, "y\n" + "0\n1\n" * 500, contract, Baseline(1000, "v", profile))
    assert later.report.is_valid
    assert [c["column"] for c in json.loads(later.documents["report.json"])["drift"]["columns"]] == ["y"]


def test_a_bias_limit_that_nothing_can_be_held_against_is_a_warning(tmp_path: Path) -> None:
    contract = {
        "schema": {"x": {"type": "integer"}, "y": {"type": "integer"}},
        "bias": {
            "facets": ({"column": "x", "values": (7,)},),
            "favorable_labels": (1,),
            "limits": {"DPL": 0.1},
        },
    }
    found = validated(tmp_path, "x,y\n" + "1,0\n2,1\n" * 5, contract, Baseline())
    assert found.report.is_valid
    assert found.report.warnings == (
        "x = 7: DPL has a limit and no value, as there is no label of the facet",
    )


def test_what_a_validation_needs_is_loaded_by_the_process_that_stays(tmp_path: Path) -> None:
    html.template.cache_clear()
    for _ in range(2):
        validated(tmp_path, "y\n0\n1\n", {"schema": {"y": {"type": "integer"}}}, Baseline())
    assert html.template.cache_info().misses == 1
