"""Pages of List operations: filtered, sorted and cut as the request says."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item

DEFAULT_PAGE = 10


def list_page(
    items: Sequence[Item],
    params: Mapping[str, Any],
    *,
    result_key: str,
    name_key: str,
    status_key: str | None = None,
    descending: bool = False,
) -> dict[str, Any]:
    """Return one page of a List operation under `result_key`, filtered, sorted and cut by `params`.

    `items` are in order of creation; `descending` is the operation's default order. A page continues after
    the last item of the previous page, so items created or deleted in between neither repeat nor hide others.
    """
    sort_by = params.get("SortBy", "CreationTime")
    sort_key = {"Name": name_key, "Status": status_key or "Status"}.get(sort_by, sort_by)
    reverse = params.get("SortOrder", "Descending" if descending else "Ascending") == "Descending"

    def position(item: Item) -> list[Any]:
        return [item[sort_key], item["CreationTime"], item[name_key]]

    in_order: Iterable[Item] = reversed(items) if reverse else items
    if sort_by != "CreationTime":
        in_order = sorted(items, key=position, reverse=reverse)
    last = _read_token(params["NextToken"]) if "NextToken" in params else None
    chosen = (
        item
        for item in in_order
        if _matches(item, params, name_key, status_key) and _is_after(last, position(item), reverse)
    )
    size = params.get("MaxResults", DEFAULT_PAGE)
    found = list(islice(chosen, size + 1))  # no more is read than the page has
    page: dict[str, Any] = {result_key: found[:size]}
    if len(found) > size:
        page["NextToken"] = _write_token(position(found[size - 1]))
    return page


def created(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listing's parameters with its bounds of time under the names that other listings have."""
    times = {
        f"CreationTime{end}": params[f"Created{end}"]
        for end in ("After", "Before")
        if f"Created{end}" in params
    }
    return {**params, **times}


def _matches(item: Item, params: Mapping[str, Any], name_key: str, status_key: str | None) -> bool:
    if params.get("NameContains", "").lower() not in item[name_key].lower():
        return False
    if status_key and params.get("StatusEquals", item[status_key]) != item[status_key]:
        return False
    return all(
        params.get(f"{time_key}After", -math.inf) < item[time_key] < params.get(f"{time_key}Before", math.inf)
        for time_key in ("CreationTime", "LastModifiedTime")
    )


def _is_after(last: list[Any] | None, position: list[Any], reverse: bool) -> bool:
    try:
        return last is None or (position < last if reverse else position > last)
    except TypeError as error:  # the token belongs to a listing in another order
        raise _invalid_token() from error


def _write_token(position: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read_token(token: str) -> list[Any]:
    try:
        position = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise _invalid_token() from error
    if not isinstance(position, list):
        raise _invalid_token()
    return position


def _invalid_token() -> ApiError:
    return ApiError("ValidationException", "The pagination token is invalid.")
