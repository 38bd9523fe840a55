"""Describe writes to the catalog: a change names an item, its new state, and a condition.

A condition is a mapping: the item exists and each attribute equals its value (None: the attribute is absent).
`Catalog.apply` writes all of its changes or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.lazy import dataclass

CHANGES_MAX = 100  # DynamoDB's limit for a transaction


@dataclass(frozen=True, slots=True)
class Put:
    """Write the item if its key is free."""

    item: Mapping[str, Any]

    @property
    def key(self) -> Mapping[str, Any]:
        return self.item


@dataclass(frozen=True, slots=True)
class Update:
    """Set attributes (None removes one) if the condition holds; without a condition create a missing item."""

    key: Mapping[str, str]
    set: Mapping[str, Any]
    when: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the item if the condition holds; without a condition a missing item is fine."""

    key: Mapping[str, str]
    when: Mapping[str, Any] | None = None


Change = Put | Update | Delete


def overwrite(item: Mapping[str, Any]) -> Update:
    """Write an item's attributes, whether or not there is one of its key."""
    attributes = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    return Update({"pk": item["pk"], "sk": item["sk"]}, attributes)


def refuse_impossible(changes: Sequence[Change]) -> None:
    """Raise ValueError for an impossible transaction: too many changes, two of one item, an empty one."""
    if len(changes) > CHANGES_MAX:
        raise ValueError(f"{len(changes)} changes are more than the {CHANGES_MAX} of one transaction")
    if len({(change.key["pk"], change.key["sk"]) for change in changes}) < len(changes):
        raise ValueError("a transaction changes an item once")
    if len(changes) > 1 and any(isinstance(change, Update) and not change.set for change in changes):
        raise ValueError("an update in a transaction sets something")
