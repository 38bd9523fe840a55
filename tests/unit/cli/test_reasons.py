"""A reason in a table is one line that can be read at a glance."""

from __future__ import annotations

from sluice_cli.reasons import first_reasons


def test_a_long_reason_is_cut_and_how_many_others_there_are_is_said() -> None:
    said = first_reasons({"reasons": [f"too long: {'x' * 5000}", "another", "a third"]})
    assert said.startswith("too long: xxx")
    assert said.endswith("x… (+2)")
    assert len(said) < 320


def test_what_ended_well_has_no_reason() -> None:
    assert first_reasons({"reasons": None}) == ""
