"""Find out whether what serves on a stage may be taken back automatically."""

from __future__ import annotations

from sluice.catalog.records.releases import Deployment
from sluice.domain.release import holds
from sluice.domain.release.holds import Hold
from sluice.ports import Cloud
from sluice.services import deviating, releasing


def find_hold(cloud: Cloud, live: Deployment) -> Hold | None:
    """Return why alarms roll nothing back where this is live; None if they do."""
    release = releasing.find_release(cloud, live.pipeline, live.release_id)
    return holds.after_rollback(live, release, deviating.way_back(live))
