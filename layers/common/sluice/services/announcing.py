"""Put on the bus what happened in a build or a release; people are told of some of it (`send_notice`).

Whatever is announced may come twice: who acts on it does so once for each run, release or version. It may
also be lost, so the catalog says who has yet to hear it (`hearing`), and `reconcile` announces it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Run
    from sluice.catalog.records.releases import Release
    from sluice.catalog.records.transforms import SetAside, Transform
    from sluice.ports import Cloud

# The catalog has the rest.
_REASONS_TOLD = 5


def run_ended(cloud: Cloud, run: Run) -> None:
    """Announce a run's end, and note that: only a crash in between announces it twice."""
    from sluice.catalog.changes import builds  # most of what is announced is of no build

    if run.told_at is not None:
        return
    detail: dict[str, Any] = {
        "run_id": run.run_id,
        "status": run.status,
        "dataset_version": run.dataset_version,
        "reasons": list(run.reasons[:_REASONS_TOLD]),
        "execution_arn": run.execution_arn,
        "ended_at": run.ended_at,
    }
    if run.status == "data_rejected":
        from sluice.services import building  # few events are this one, and releases load no builds

        dataset = building.find_dataset(cloud, run.pipeline, str(run.dataset_version))
        detail["report_uri"] = dataset.report_uri if dataset else None
    announce(cloud, "RunEnded", run.pipeline, detail)
    cloud.catalog.apply(builds.tell_end(run.pipeline, run.run_id, cloud.now()))


def release_ended(cloud: Cloud, release: Release, *, is_rollback: bool, replaced: int | None = None) -> None:
    """Announce a release's end, with what it means for the stage: a rollback that failed is not a release.

    `replaced` is the version that a rollback took back.
    """
    rollback = {"released": "rolled_back", "failed": "rollback_failed", "refused": "rollback_refused"}
    detail = {
        "release_id": release.release_id,
        "outcome": rollback[release.status] if is_rollback else release.status,
        "cause": release.cause,
        "package_version": release.package_version,
        "replaced_version": replaced,
        "stages": list(release.stages),
        "actor": release.actor,
        "reasons": list(release.reasons[:_REASONS_TOLD]),
        "execution_arn": release.execution_arn,
        "ended_at": release.ended_at,
    }
    announce(cloud, "ReleaseEnded", release.pipeline, detail)


def transform_ended(cloud: Cloud, transform: Transform) -> None:
    """Announce a transform's end, with where its results are, or why it failed."""
    detail = {
        "transform_id": transform.transform_id,
        "status": transform.status,
        "stage": transform.stage,
        "package_version": transform.package_version,
        "inputs": len(transform.inputs),
        "key": transform.inputs[0]["key"] if len(transform.inputs) == 1 else None,
        "is_split": transform.is_split,
        "rows": transform.rows,
        "output_uri": transform.output_uri,
        "reasons": [transform.reason] if transform.reason else list(transform.faults[:_REASONS_TOLD]),
        "ended_at": transform.ended_at,
    }
    announce(cloud, "TransformEnded", transform.pipeline, detail)


def batch_refused(cloud: Cloud, aside: SetAside) -> None:
    """Announce that a file is not scored, as it is not what the model reads."""
    detail = {"key": aside.key, "version_id": aside.version_id, "at": aside.at, "reasons": [aside.reason]}
    announce(cloud, "BatchRefused", aside.pipeline, detail)


def approval_awaited(
    cloud: Cloud, pipeline: str, model: str, package_arn: str, at: str, **others: str | None
) -> None:
    """Announce that a version waits for a person, to be approved, or to be released to a `stage`."""
    detail = {"model": model, "package_arn": package_arn, "at": at, **others}
    announce(cloud, "ApprovalAwaited", pipeline, detail)


def budget_reached(cloud: Cloud, pipeline: str, reason: str, until: str, at: str) -> None:
    """Announce that builds wait for their budget."""
    announce(cloud, "BudgetReached", pipeline, {"reason": reason, "until": until, "at": at})


def announce(cloud: Cloud, detail_type: str, pipeline: str, detail: Mapping[str, Any]) -> None:
    """Put an event of ours on the bus, and note first who has to hear it."""
    from sluice.services import hearing  # few events end so, and all would load it

    told = {"stack": cloud.stack_name, "pipeline": pipeline, **detail}
    hearing.expect(cloud, detail_type, told)
    cloud.bus.announce(detail_type, told)
