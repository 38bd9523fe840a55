"""Check for columns that the contract does not name (`data.extra`)."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.domain.config.checks.base import Ask, Check, Circumstances, Finding, Kind
from sluice.domain.config.checks.messages import listed, shown, twins


def _measure(check: Check, ask: Ask) -> list[str]:
    return list(ask.extra_names())


def _judge(finding: Finding, at: Circumstances) -> str | None:
    names = finding.value or []
    if not names:
        return None
    said = listed(tuple(_named(name, finding.check.limit) for name in names))
    return f"{'1 column' if len(names) == 1 else f'{len(names)} columns'} not in the schema: {said}"


def _named(name: str, known: Iterable[str]) -> str:
    """Write a column's name, and the schema's name that it nearly equals."""
    text = shown(name)
    meant = next((f" (the schema has {other!r})" for other in twins(name, known)), "")
    return (text if text and text == text.strip() else repr(text)) + meant


def _merge(some: list[str], others: list[str]) -> list[str]:
    return sorted({*some, *others})


KINDS = (Kind("extra", _judge, measure=_measure, merge=_merge, monitor="extra_column_check", of_names=True),)
