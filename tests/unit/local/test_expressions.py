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


@pytest.mark.parametrize(
    "condition",
    [
        "pk = :pk",
        CONDITION,
        "pk = :pk AND sk BETWEEN :prefix AND :last",
        "pk = :pk AND sk BETWEEN :last AND :prefix",
        "pk = :pk AND sk >= :prefix",
        "pk = :pk and begins_with(sk, :prefix)",
        "pk = :other AND begins_with(sk, :prefix)",
        "pk = :missing",
        "begins_with(sk, :prefix) AND pk = :pk",
    ],
)
def test_the_items_of_a_range_are_those_that_ministack_finds(
    condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of plain ranges it is not asked, so each answer is held against its own."""
    asked: list[str] = []

    def ask(condition: str, *rest: Any, **how: Any) -> Any:
        asked.append(condition)
        return plain(condition, *rest, **how)

    plain = service._evaluate_condition
    evaluate = dynamodb._with_plain_ranges(ask)
    values = {**VALUES, ":last": {"S": "x2"}, ":other": {"S": "q"}}
    items: list[Any] = [
        {"pk": {"S": pk}, "sk": {"S": sk}} for pk in "pq" for sk in ("", "w", "x", "x1", "x2", "x\u00e9")
    ]
    items += [{"pk": {"S": "p"}, "sk": {"N": "1"}}, {"pk": {"S": "p"}}]

    def answers(judge: Any, item: Any) -> Any:
        try:
            return judge(condition, item, values, {}, slot="KeyConditionExpression")
        except ValueError as error:
            return str(error)

    assert [answers(evaluate, item) for item in items] == [answers(plain, item) for item in items]
    assert (len(asked) < len(items)) is (condition in _PLAIN)


_PLAIN = {
    "pk = :pk",
    CONDITION,
    "pk = :pk AND sk BETWEEN :prefix AND :last",
    "pk = :other AND begins_with(sk, :prefix)",
}
