"""Decide whether a version may be approved by itself, where its project lets versions be registered so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.catalog.records.releases import PENDING

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Approval, Package
    from sluice.domain.build.champions import Live

DECIDES = "a person decides, although approval is automatic"
_KEYS_SHOWN = 3


def needs_person(
    gates: Iterable[Mapping[str, Any]], recalled: Sequence[str], *, is_allowed: bool
) -> str | None:
    """Return why a person approves the version of a run, as a sentence; None if nothing asks for one.

    `gates` are the results of the run's gates, `recalled` the keys of data that were recalled since a model
    was built without them, and `is_allowed` is whether the stack allows automatic approval.
    """
    reasons = []
    if not is_allowed:
        reasons.append("the stack does not allow automatic approval")
    if recalled:
        shown = ", ".join(recalled[:_KEYS_SHOWN])
        more = f" and {len(recalled) - _KEYS_SHOWN} more" if len(recalled) > _KEYS_SHOWN else ""
        reasons.append(f"data were recalled that it may hold: {shown}{more}")
    reasons.extend(dict.fromkeys(str(gate["reason"]) for gate in gates if gate.get("uncompared")))
    if not reasons:
        return None
    return f"{DECIDES}: {'; '.join(reasons)}"


def as_registered(setting: str, status: str, reason: str | None) -> str | None:
    """Return why a person decides about a version that was registered with this status.

    An earlier attempt may have registered it: as approved, before there was a reason, or for a person, for
    one that is gone by now.
    """
    return (reason or DECIDES) if setting == "automatic" and status == PENDING else None


def is_automatic(package: Package, approval: Approval | None) -> bool:
    """Tell whether nobody approved a version whose project's approval is automatic.

    Then it was registered as approved, and not decided on since.
    """
    if approval is None or package.needs_person:
        return False
    return approval.epoch <= (package.decided_before or 0) + 1


def is_compared(champion: Mapping[str, Any] | None) -> bool:
    """Tell whether a run's gates had a champion to compare with, which was not passed over."""
    return bool(champion and champion.get("package_arn") and not champion.get("passed_over"))


def overtaken(
    champion: Mapping[str, Any] | None, live: Live | None, arn: str, run_id: str | None
) -> str | None:
    """Say what a version was compared with, if something else serves now: "compared with v1, but ...".

    The version has this ARN and is of this run, whose manifest names the `champion`; `live` is what serves.
    None if that is the champion or the version itself, or if nothing serves: the champion was retired then.
    A version that was compared with nothing is one for a person, whatever serves.
    """
    if champion is None or not is_compared(champion):
        return "compared with no champion, by its run's manifest"
    if live is None or live.release_id == champion["release_id"]:
        return None
    found = live.deployment
    if found and (found.is_of(arn, run_id) or found.is_of(champion["package_arn"], champion.get("run_id"))):
        return None
    return f"compared with v{champion['package_version']}, but {_serving(live)}"


def uncompared(live: Live | None, arn: str, run_id: str | None) -> str | None:
    """Say of a version that was compared with nothing what serves now; None if that is nothing, or itself."""
    if live is None or (live.deployment and live.deployment.is_of(arn, run_id)):
        return None
    return f"compared with no champion, but {_serving(live)}"


def _serving(live: Live) -> str:
    found = live.deployment
    serves = f"v{found.package_version}" if found else f"{live.release_id}, of which there is no record"
    since = f" since {live.promoted_at}" if live.promoted_at else ""
    return f"{live.stage} serves {serves}{since}"
