"""Tell once that a stage's endpoint differs from its live release, and that it does no more.

Nothing is put back: what a person did by hand is a person's to undo, or to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog.changes import releases as changes
from sluice.domain.release import deviations, packages
from sluice.services import announcing
from sluice.services.release import deploying, releasing
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment, Stage
    from sluice.ports import Cloud

DEVIATED, RESTORED = "EndpointDeviated", "EndpointRestored"


def record(cloud: Cloud, stage: Stage, faults: list[str]) -> str:
    """Note faults that are new, or the end of known ones, and tell of it once; returns what was done.

    It is written before it is told, and then that it was told: a crash in between repeats the telling.
    """
    if not deviations.is_news(stage, faults):
        return "known" if faults else "as released"
    if stage.known_faults != faults:
        if not cloud.catalog.apply(changes.note_deviation(stage, faults, cloud.now())):
            return "changed meanwhile"
        found = releasing.find_stage(cloud, stage.pipeline, stage.name)
        if found is None or found.deviation is None:
            return "changed meanwhile"
        stage = found
    _tell(cloud, stage)
    cloud.catalog.apply(changes.tell_deviation(stage))
    return "deviates" if faults else "restored"


def _tell(cloud: Cloud, stage: Stage) -> None:
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    at, faults = str((stage.deviation or {})["at"]), stage.known_faults
    served = f"serves v{live.package_version} as released" if live else "serves nothing any more, as recorded"
    said = "; ".join(faults) if faults else served
    subject = stage.live or f"{stage.pipeline}-{stage.name}"
    event = "endpoint deviates" if faults else "endpoint restored"
    note(cloud, stage.pipeline, at, subject, event, f"{stage.name}: {said}")
    detail = {
        "stage": stage.name,
        "endpoint_name": stage.endpoint_name,
        "release_id": stage.live,
        "package_version": live.package_version if live else None,
        "at": at,
        "reasons": faults,
        "command": way_back(cloud, live) if live and faults else None,
    }
    announcing.announce(cloud, DEVIATED if faults else RESTORED, stage.pipeline, detail)


def way_back(cloud: Cloud, live: Deployment) -> str:
    """Return the command that puts the live release's model back on its endpoint."""
    model = packages.version_name(
        cloud.stack_name, live.pipeline, packages.group_of(live.package_arn), live.package_version
    )
    return f"approve {model} --stage {live.stage}"
