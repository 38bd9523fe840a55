"""A check is one file: whatever lies among the families is one, and all that is derived from them agrees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from sluice.domain.config import checks, json_schema
from sluice.domain.config.models import Column

FAMILY = """
from typing import Literal
from sluice.domain.config.checks.base import ColumnCheck, Kind

class TotalCheck(ColumnCheck):
    check: Literal["total"]
    column: str

CHECKS = (TotalCheck,)
KINDS = (Kind("total", lambda finding, at: None),)
"""


def test_a_file_among_the_families_is_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "total.py").write_text(FAMILY)
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    name = f"{checks.__name__}.total"
    try:
        found = {family.__name__ for family in checks._families()}
    finally:
        sys.modules.pop(name, None)
        vars(checks).pop("total", None)
    assert name in found


def test_each_check_that_a_contract_names_is_in_its_schema() -> None:
    tags = [tag for model in checks.CHECKS for tag in get_args(model.model_fields["check"].annotation)]
    assert len(set(tags)) == len(tags)
    schema: dict[str, Any] = json_schema()["$defs"]["Data"]["properties"]["quality"]["items"]
    assert sorted(schema["discriminator"]["mapping"]) == sorted(tags)


def test_no_two_families_have_a_kind_of_one_name() -> None:
    kinds = [kind.name for family in checks._FAMILIES for kind in getattr(family, "KINDS", ())]
    assert len(set(kinds)) == len(kinds)


def test_each_field_of_a_column_is_one_familys() -> None:
    places = [part.place for part in checks.CONSTRAINTS]
    assert len(set(places)) == len(places)
    fields = [name for part in checks.CONSTRAINTS for name in vars(part).get("__annotations__", {})]
    assert list(Column.model_fields) == [*(f for f in fields if f != "place"), "severity", "tolerance"]


def test_to_read_a_contract_loads_neither_the_engine_nor_the_report() -> None:
    loaded = "import sys, sluice.domain.config; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not {"duckdb", "jinja2", "sluice.quality"} & set(names.stdout.split())
