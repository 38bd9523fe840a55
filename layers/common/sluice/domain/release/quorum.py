"""Count the people who approve a version: how many must, who may not, and whose approval holds no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sluice.catalog.records.releases import Approval
from sluice.domain import actors
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config import approval


@dataclass(frozen=True, slots=True)
class Quorum:
    """Who approved a version, of how many people that must."""

    needed: int
    given: tuple[Approval, ...]
    # Whose approval does not count, and why.
    passed_over: tuple[str, ...] = ()

    @property
    def is_reached(self) -> bool:
        return len(self.given) >= self.needed

    @property
    def by(self) -> list[str]:
        return [each.approver for each in self.given]

    @property
    def missing(self) -> str:
        """Say how many approvals there are, whose, and which do not count."""
        by = f" (by {', '.join(self.by)})" if self.given else ""
        return "; ".join([f"{len(self.given)} of {self.needed} approvals{by}", *self.passed_over])

    @property
    def awaited(self) -> str:
        """Say how many there are, and how many people must still approve."""
        return f"{self.missing}: {self.others} must approve it too"

    @property
    def others(self) -> str:
        """Say how many people must still approve."""
        left = self.needed - len(self.given)
        return "another person" if left == 1 else f"{left} other people"


def count(
    rules: approval.Approval,
    decisions: Iterable[Approval],
    manifest_sha256: str,
    pushed_by: Sequence[str],
    now: str,
) -> Quorum:
    """Count the approvals of one manifest; `decisions` are all about the version, oldest first.

    A rejection ends all approvals before it, a withdrawal only those of who withdraws.
    """
    standing = dict[str, Approval]()
    for decision in decisions:
        if decision.status == "Rejected":
            standing.clear()
        elif decision.status == "Approved":
            standing[actors.person(decision.approver)] = decision
        else:
            standing.pop(actors.person(decision.approver), None)
    judged = [
        (each, _objection(rules, each, manifest_sha256, pushed_by, now))
        for each in sorted(standing.values(), key=lambda each: each.epoch)
    ]
    given, doubles = _told_apart([each for each, objection in judged if objection is None])
    passed_over = [f"{each.approver} {objection}" for each, objection in judged if objection]
    return Quorum(needed=rules.approvals, given=given, passed_over=(*passed_over, *doubles))


def _told_apart(counting: Sequence[Approval]) -> tuple[tuple[Approval, ...], list[str]]:
    """Return the approvals of different people, and which may be of one: two roles can be one person's."""
    roles = [each for each in counting if actors.is_a_role(each.approver)]
    doubles = roles[1:]
    said = [
        f"{each.approver} may be who approved as {roles[0].approver}: a role names no person, "
        "a source identity does"
        for each in doubles
    ]
    return tuple(each for each in counting if each not in doubles), said


def _objection(
    rules: approval.Approval, decision: Approval, manifest_sha256: str, pushed_by: Sequence[str], now: str
) -> str | None:
    """Say why an approval does not count; None if it does."""
    if decision.manifest_sha256 != manifest_sha256:
        return "approved another run manifest"
    if decision.valid_until < now:
        return f"approved until {decision.valid_until}"
    if not actors.is_vouched_for(decision.approver):
        return (
            "is not vouched for by the registry: somebody changed the version since, or the decision's event "
            "was lost; approve again"
        )
    if rules.separation and not pushed_by:
        return "may have pushed the project: no push says who did, so push it with `sluice push`"
    if rules.separation and _pushed(decision, pushed_by):
        return "pushed the project, and release.approval.separation is true"
    return None


def _pushed(decision: Approval, pushed_by: Sequence[str]) -> bool:
    own = {actors.person(decision.approver), actors.person(decision.identity or decision.approver)}
    return bool(own & {actors.person(each) for each in pushed_by})
