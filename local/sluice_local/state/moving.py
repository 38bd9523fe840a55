"""Continue on another port: URLs of queues, and what was made with them, contain the port."""

from __future__ import annotations

from typing import Any

from ministack.services import cloudformation, lambda_svc, sqs


def move(old: int, new: int) -> None:
    """Replace the old address by the new one everywhere."""
    addresses = f"://127.0.0.1:{old}/", f"://127.0.0.1:{new}/"
    for store in (cloudformation._stacks, lambda_svc._functions, sqs._queues, sqs._queue_name_to_url):
        data = store._data
        moved = {_moved(key, *addresses): _moved(value, *addresses) for key, value in data.items()}
        data.clear()
        data.update(moved)


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(item, old, new) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, old, new) for item in value)
    return value
