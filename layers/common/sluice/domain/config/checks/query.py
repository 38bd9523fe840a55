"""Check that a contract's query returns no violating rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from sluice.domain.config.checks.base import Ask, Check, DatasetCheck, Kind, Loc, Typed
from sluice.domain.config.checks.messages import broken_rows
from sluice.domain.config.problems import Breach

_QUERY = re.compile(r"\s*(select|with|from)\b", re.IGNORECASE)


def _without_its_end(query: str) -> str:
    """Remove the semicolon at a query's end, so that it can be part of another query."""
    return query.rstrip().removesuffix(";")


class SqlCheck(DatasetCheck):
    place: ClassVar[int] = 80

    check: Literal["sql"] = Field(description="sql")
    name: str = Field(description="the check's name in reports", min_length=1, max_length=100)
    query: Annotated[str, AfterValidator(_without_its_end)] = Field(
        description="a SELECT over the relation `data` that returns the violating rows", min_length=1
    )
    tolerance: float = Field(0.0, description="the share of rows, 0 to 1, that it may return", ge=0, lt=1)

    def asked(self, columns: Mapping[str, Typed]) -> Iterator[Check]:
        yield Check(
            "sql", None, None, self.name, self.query, severity=self.severity, tolerance=self.tolerance
        )

    def breaches(self, loc: Loc, columns: Mapping[str, Typed]) -> Iterator[Breach]:
        if not _QUERY.match(self.query):
            yield Breach((*loc, "query"), "is no query", "a SELECT over the relation `data`")

    @classmethod
    def breaches_together(cls, all_of_them: Sequence[tuple[Loc, DatasetCheck]]) -> Iterator[Breach]:
        """Require different names of queries: a report tells them apart by name."""
        first: dict[str, Loc] = {}
        for loc, check in all_of_them:
            if isinstance(check, cls) and first.setdefault(check.name, loc) != loc:
                yield Breach((*loc, "name"), f"is {check.name!r} again", "a name of its own")


def _measure(check: Check, ask: Ask) -> None:
    ask.count_returned(check.argument)


CHECKS = (SqlCheck,)
KINDS = (
    Kind(
        "sql",
        broken_rows(
            lambda check: f"returned by the query {check.limit!r}", unusable="query could not be run"
        ),
        measure=_measure,
    ),
)
