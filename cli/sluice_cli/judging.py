"""Have the stack judge what serves, now."""

from __future__ import annotations

import uuid

from sluice.catalog import keys
from sluice.catalog.records.monitoring import Watch
from sluice_cli import bus, waiting
from sluice_cli.target import Target

_ANSWER_S = 300


def judge_now(target: Target, pipeline: str, stage: str | None, stages: list[str]) -> None:
    """Have the stack judge these stages now, and wait until it has."""
    request_id = uuid.uuid4().hex
    detail = {"stack": target.stack, "pipeline": pipeline, "stage": stage, "request_id": request_id}
    bus.announce(target.client("events"), "MonitoringRequested", detail)

    def look() -> bool | None:
        items = [target.catalog.get(keys.monitor_key(pipeline, each)) for each in stages]
        return all(item and Watch.of(item).answered == request_id for item in items) or None

    what = "the stack to answer (`sluice logs --function monitor_endpoint` shows why)"
    waiting.until(look, timeout_s=_ANSWER_S, what=what, otherwise=waiting.ASK_AGAIN)
