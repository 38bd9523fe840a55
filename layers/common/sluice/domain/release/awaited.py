"""List what waits for a person: versions to approve, and stages to release to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sluice.catalog.records.releases import PENDING

if TYPE_CHECKING:
    from sluice.domain.config import Stage


def decisions(
    stages: Sequence[Stage], serving: Iterable[dict[str, Any]], models: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List what waits for a person, since when, and the arguments of the command that ends the wait.

    `stages` are the project's, in order; `serving` is what serves on each (`views.stages`); `models` are the
    versions in the registry, newest first (`views.models`), with `held` if an approved one waits all the
    same, and `waits_because` if a pending one would not wait otherwise. A version waits only if it is newer
    than the newest decided one: older ones were passed over.
    """
    live = {row["stage"]: row for row in serving}
    return [*_approvals(models), *_releases(stages, live, models)]


def _approvals(models: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    awaited = []
    for row in models:
        held = row.get("held")
        if row["approval_status"] != PENDING and held is None:
            break
        awaited.append(
            {
                "model": row["model"],
                "arn": row["arn"],
                "what": "approval",
                "stage": None,
                "since": row["created_at"],
                "command": f"approve {row['model']}",
                **({"held": why} if (why := held or row.get("waits_because")) else {}),
            }
        )
        if held:
            break
    return awaited


def _releases(
    stages: Sequence[Stage], serving: dict[str, dict[str, Any]], models: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List the stages with `requires_approval` that lack what serves on the stage before."""
    model_of = {row["arn"]: row["model"] for row in models if row["approval_status"] == "Approved"}
    awaited = []
    for before, stage in pairwise(stages):
        live, here = serving.get(before.name), serving.get(stage.name, {})
        if not stage.requires_approval or live is None or here.get("releasing"):
            continue
        arn = live["live_package_arn"]
        if arn in model_of and arn != here.get("live_package_arn"):
            awaited.append(
                {
                    "model": model_of[arn],
                    "arn": arn,
                    "what": "release",
                    "stage": stage.name,
                    "since": live["promoted_at"],
                    "command": f"approve {model_of[arn]} --stage {stage.name}",
                }
            )
    return awaited
