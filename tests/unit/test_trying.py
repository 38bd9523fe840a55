"""Properties are tried with as many examples as were asked for."""

from __future__ import annotations

import pytest
from hypothesis import settings

from trying import examples


def test_the_profile_that_was_asked_for_holds_in_every_file(pytestconfig: pytest.Config) -> None:
    wanted = 100 if pytestconfig.getoption("--hypothesis-profile") == "all" else 20
    assert settings().max_examples == wanted
    assert examples(300) == 3 * wanted
