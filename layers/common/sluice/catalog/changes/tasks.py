"""Changes of tasks that wait for jobs or endpoints."""

from __future__ import annotations

from sluice.catalog import keys
from sluice.catalog.changes.base import Update


def close_task(resource: str, task_token: str) -> Update:
    """Close the answered task; another attempt's token stays open."""
    closed = {"status": "done", "gsi1pk": None, "gsi1sk": None}
    return Update(keys.task_key(resource), closed, {"task_token": task_token})
