"""What no test of a function waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sluice.domain.config.models import Data
from sluice.quality import run
from sluice.quality.validation import DataFile

_outcomes: dict[Any, run.Outcome] = {}


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch, engine_at_hand: None) -> None:
    """Handlers that pause between attempts go on at once."""
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture(autouse=True)
def judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same data are judged once for all tests, which play the same run over and over."""
    validate = run.validate

    def remembered(files: Sequence[DataFile], data: Data, *, limits: run.Limits, **given: Any) -> run.Outcome:
        bodies = tuple((each.key, each.path.read_bytes()) for each in files)
        about = (bodies, data.model_dump_json(), *map(repr, given.items()))
        if about not in _outcomes:
            _outcomes[about] = validate(files, data, limits=limits, **given)
        return _outcomes[about]

    monkeypatch.setattr(run, "validate", remembered)
