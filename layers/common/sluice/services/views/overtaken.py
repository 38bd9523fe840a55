"""Tell of a version that waits for a person whether it was compared with what serves now."""

from __future__ import annotations

from sluice.catalog.records.releases import PENDING, Package
from sluice.domain import names
from sluice.domain.failures import MissingError
from sluice.domain.release import automatic
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.release import served


def said(cloud: Cloud, package: Package) -> str | None:
    """Say what a version was compared with, if something else serves now and nobody decided so far.

    Also of one that was compared with nothing, as nothing served then, or as a push waived that.
    """
    if package.status != PENDING or package.deleted_at or not (package.pipeline and package.run_id):
        return None
    step = building.find_step(cloud, package.run_id, names.SELECT)
    detail = (step and step.detail) or {}
    run = building.find_run(cloud, package.pipeline, package.run_id)
    # A run of an older stack did not note what it was compared with.
    if run is None or "champion" not in detail:
        return None
    try:
        config = building.config_of(cloud, run)
    except MissingError:
        return None
    if not served.compares(config):
        return None
    champion, live = detail["champion"], served.find_champion(cloud, config)
    if not automatic.is_compared(champion):
        return automatic.uncompared(live, package.arn, package.run_id)
    return automatic.overtaken(champion, live, package.arn, package.run_id)
