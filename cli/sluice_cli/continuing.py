"""What is said of a local cloud that goes on with what was in it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sluice_cli.output import here
from sluice_cli.project import EXAMPLES
from sluice_cli.target import Target

_ENDPOINTS_TIMEOUT_S = 120.0


def wait_for_endpoints(target: Target) -> None:
    """Until those that served before serve again, or have failed to."""
    deadline = time.monotonic() + _ENDPOINTS_TIMEOUT_S
    while time.monotonic() < deadline and target.pages(
        "sagemaker", "list_endpoints", "Endpoints", StatusEquals="SystemUpdating"
    ):
        time.sleep(0.2)


def lines(continued: Mapping[str, Any] | None) -> list[str]:
    """What was taken up, what was interrupted, and what a crash has torn; nothing of a new cloud."""
    if continued is None:
        return []
    said = [f"it continues as it was at {continued['saved_at']}"]
    said += _interrupted("run or release", continued["executions"])
    said += _interrupted("job", continued["jobs"])
    if endpoints := continued["endpoints"]:
        said.append(f"{_count('endpoint', endpoints)} started again: {', '.join(endpoints)}")
    return [*said, *(f"[yellow]left out[/]: {sentence}" for sentence in continued["left_out"])]


def next_step(continued: Mapping[str, Any] | None) -> str:
    """What to type next."""
    if continued is None:
        example = here(EXAMPLES / "reviews")
        return f"next: `sluice push {example}`, or `sluice init my-model`; `sluice down` ends it"
    return "next: `sluice status`; `sluice up --fresh` starts anew, `sluice down` ends it"


def _interrupted(noun: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"{_count(noun, names)} under way had ended with the cloud, and failed: {', '.join(names)}"]


def _count(noun: str, names: Sequence[str]) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"
