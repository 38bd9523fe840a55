"""Page through a long list of which only some rows are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# For a page of wanted rows so many times as many are looked at, at most.
_LOOKED_AT = 10

Row = dict[str, Any]


def page(
    read: Callable[[int], list[Row]], limit: int, is_wanted: Callable[[Row], bool] | None
) -> tuple[list[Row], Row | None]:
    """Return the wanted rows of those that `read` lists (all if None), and the row to go on behind, if any.

    A page may have fewer rows than there are, and none: it looks at so many at most.
    """
    looked_at = limit if is_wanted is None else limit * _LOOKED_AT
    rows = read(looked_at)
    matching = rows if is_wanted is None else [row for row in rows if is_wanted(row)]
    ends = matching[limit - 1] if len(matching) > limit else rows[-1] if len(rows) == looked_at else None
    return matching[:limit], ends
