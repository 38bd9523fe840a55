"""The local DynamoDB reads an expression once, however many items it is asked of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ministack.services import dynamodb as service

from sluice_local.patches import dynamodb
from sluice_local.settings import Settings

CONDITION = "pk = :pk AND begins_with(sk, :prefix)"
VALUES = {":pk": {"S": "p"}, ":prefix": {"S": "x"}}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read, in order."""
    expressions: list[str] = []
    for name in ("_tokenize", "_condition_syntax_error"):
        plain = getattr(service, name)

        def noting(expression: str, *rest: Any, plain: Any = plain) -> Any:
            expressions.append(expression)
            return plain(expression, *rest)

        monkeypatch.setattr(service, name, noting)
    dynamodb.install(Settings(port=0, state_dir=Path()))
    return expressions


def holds(condition: str, sort_key: str) -> bool:
    item = {"pk": {"S": "p"}, "sk": {"S": sort_key}}
    return bool(service._evaluate_condition(condition, item, VALUES, {}))


def test_a_condition_is_read_once_for_all_items(read: list[str]) -> None:
    assert [holds(CONDITION, f"{first}{n}") for n in range(50) for first in "xy"] == [True, False] * 50
    assert read == [CONDITION, CONDITION]


def test_an_expression_that_is_wrong_is_refused_each_time(read: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="Syntax error"):
            holds("pk = = :pk", "x")
    assert holds(CONDITION, "x")


def test_who_changes_the_tokens_changes_them_for_nobody_else(read: list[str]) -> None:
    service._tokenize(CONDITION).clear()
    assert holds(CONDITION, "x")
