"""Tell when a stage is taken out of automatic hands: nothing is rolled back there until a person acts."""

from __future__ import annotations

from sluice.catalog.records.releases import Approval, Deployment, Release, Why
from sluice.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """Why alarms roll nothing back on a stage and only call a person, since when, and what ends that."""

    why: Why
    since: str
    reason: str
    # Its arguments.
    command: str


def after_rollback(live: Deployment, release: Release | None, command: str) -> Hold | None:
    """Return the hold of a stage that an alarm rolled back: one automatic rollback is enough.

    If what worked before fails too, the model may not be the reason, and going further back hides that.
    """
    if release is None or release.cause != "alarm":
        return None
    version = f"v{live.package_version}"
    reason = f"an automatic rollback ({release.actor}) put {version} back, so no alarm rolls back further"
    return Hold("held", str(live.promoted_at), reason, command)


def is_automatic(setting: str, approval: Approval | None) -> bool:
    """Tell whether a version was approved by nobody: it was registered so, and not decided on since."""
    return setting == "automatic" and approval is not None and approval.epoch == 1
