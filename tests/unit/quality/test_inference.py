"""A drafted schema is YAML that says what was found, whatever the names and values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.config.base import ColumnType
from sluice.domain.config.source import read
from sluice.quality import inference
from sluice.quality.inference import ColumnFacts

HOSTILE = [
    "a\x7fb",
    "\x85",
    "\u2028",
    "\u202eevil",
    "\x1b[31m",
    "\ufeff",
    "no",
    "a: b",
    "- a",
    "#",
    "'",
    '"',
    "{",
    "\\",
]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_draft_is_read_back_as_it_was_found(text: str) -> None:
    columns = {text: {"type": "string", "allowed": [text]}}
    assert read(inference.to_yaml("csv", {}, columns)).data["data"]["schema"] == columns


@pytest.mark.parametrize("text", HOSTILE)
def test_a_draft_has_nothing_that_a_terminal_would_obey(text: str) -> None:
    columns = {text: {"type": "string", "allowed": [text]}}
    draft = inference.to_yaml("csv", {}, columns)
    assert all(line.isprintable() for line in draft.splitlines())
    assert read(draft).data["data"]["schema"] == columns


def test_values_are_listed_that_occur_often() -> None:
    facts = ColumnFacts("grade", 20, 0, frozenset({"string"}), 2, ("b", "a"))
    assert inference.schema([facts]) == {"grade": {"type": "string", "required": True, "allowed": ["a", "b"]}}


def test_a_count_has_a_range_and_a_flag_its_values() -> None:
    """A list would refuse a count between those of the file."""
    integers: frozenset[ColumnType] = frozenset({"integer", "number", "string"})
    facts = [
        ColumnFacts("floor", 60, 0, integers, 4, ("-1", "0", "11", "2")),
        ColumnFacts("late", 60, 0, integers, 2, ("0", "1")),
    ]
    assert inference.schema(facts) == {
        "floor": {"type": "integer", "required": True, "min": -1, "max": 11},
        "late": {"type": "integer", "required": True, "allowed": [0, 1]},
    }
