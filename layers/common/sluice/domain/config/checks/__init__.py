"""The checks of a data contract, a module for each family; `base` has their parts.

Every module here is a family, so adding a check means adding its file. A module sees only the data that it is
given, and imports neither the engine nor the report.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from sluice.domain.config.checks.base import Check, Constraint, DatasetCheck, Kind

_SHARED = {"base", "figures", "messages"}


def _families() -> list[ModuleType]:
    names = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name not in _SHARED)
    return [import_module(f"{__name__}.{name}") for name in names]


def _of_all(attribute: str) -> list[Any]:
    return list(chain.from_iterable(getattr(family, attribute, ()) for family in _FAMILIES))


def _placed(attribute: str) -> tuple[Any, ...]:
    return tuple(sorted(_of_all(attribute), key=lambda model: (model.place, model.__name__)))


_FAMILIES = _families()
KINDS: dict[str, Kind] = {kind.name: kind for kind in _of_all("KINDS")}
CHECKS: tuple[type[DatasetCheck], ...] = _placed("CHECKS")
CONSTRAINTS: tuple[type[Constraint], ...] = _placed("CONSTRAINTS")

if TYPE_CHECKING:
    from sluice.domain.config.checks.allowed import Allowed
    from sluice.domain.config.checks.bounds import Bounds
    from sluice.domain.config.checks.lengths import Lengths
    from sluice.domain.config.checks.pattern import Pattern
    from sluice.domain.config.checks.presence import Presence
    from sluice.domain.config.checks.types import Format, Type
    from sluice.domain.config.checks.unique import Unique

    AnyCheck = DatasetCheck

    class Constraints(Presence, Allowed, Bounds, Lengths, Pattern, Format, Unique, Type):
        """The fields that other modules may read from a column's contract."""
else:
    AnyCheck = Annotated[Union[CHECKS], Field(discriminator="check")]  # noqa: UP007
    # Pydantic lists fields from the last base to the first.
    Constraints = type("Constraints", tuple(reversed(CONSTRAINTS)), {})

__all__ = ["CHECKS", "CONSTRAINTS", "KINDS", "AnyCheck", "Check", "Constraints", "DatasetCheck"]
