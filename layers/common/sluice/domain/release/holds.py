"""Tell when a stage is out of automatic hands: alarms roll nothing back there until a person acts."""

from __future__ import annotations

from sluice.catalog.records.releases import Deployment, Release, Stage, Why
from sluice.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """Why alarms roll nothing back on a stage and only call a person, since when, and what ends that."""

    why: Why
    since: str
    reason: str
    # Its arguments.
    command: str

    @property
    def is_pin(self) -> bool:
        return self.why == "pinned"


def of_pin(stage: Stage, live: Deployment) -> Hold | None:
    """Return the hold of a stage whose live version a person pinned."""
    if stage.pin is None or not stage.is_pinned:
        return None
    why = f": {stage.pin['reason']}" if stage.pin.get("reason") else ""
    reason = f"{stage.pin['actor']} pinned v{live.package_version}{why}"
    return Hold("pinned", stage.pin["at"], reason, f"pin {stage.pipeline} --stage {stage.name} --off")


def refusal(stage: str, hold: Hold) -> str:
    """Say why a version is not released to a stage whose live version is pinned."""
    return f"{stage} is pinned since {hold.since}: {hold.reason}; `sluice {hold.command}` lets go of it"


def after_rollback(live: Deployment, release: Release | None, command: str) -> Hold | None:
    """Return the hold of a stage that an alarm rolled back: one automatic rollback is enough.

    If what worked before fails too, the model may not be the reason, and going further back hides that.
    """
    if release is None or release.cause != "alarm":
        return None
    version = f"v{live.package_version}"
    reason = f"an automatic rollback ({release.actor}) put {version} back, so no alarm rolls back further"
    return Hold("held", str(live.promoted_at), reason, command)
