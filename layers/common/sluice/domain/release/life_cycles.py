"""Say where a version is in its life, in the registry's words, and judge what a person wrote there.

`ModelLifeCycle` has a stage and a status. Ours are the pipeline's stages and AWS's own words for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.catalog.records.releases import Deployment
from sluice.lazy import dataclass

Verdict = Literal["adopted", "noted", "refused"]
_DEVELOPMENT, _ARCHIVED = "Development", "Archived"
_APPROVED, _PENDING, _HELD, _REJECTED, _RETIRED = (
    "Approved",
    "PendingApproval",
    "OnHold",
    "Rejected",
    "Retired",
)
_OF_APPROVAL = {"Approved": _APPROVED, "Rejected": _REJECTED}
_DESCRIPTION_MAX = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version is, by our records: all that decides about its life cycle."""

    # The stages of the version's project, in order, and those where it is live.
    stages: Sequence[str]
    live_on: Sequence[str]
    # The stage after those that waits for a person.
    awaited: str | None
    # What became of it on the stage that it was last deployed to, and there.
    last: Deployment | None
    approval_status: str
    # The stage that a release under way brings it to.
    arriving: str | None = None


@dataclass(frozen=True, slots=True)
class LifeCycle:
    stage: str
    status: str
    description: str = ""

    @property
    def text(self) -> str:
        """The stage and the status: what the catalog keeps, and what is compared."""
        return f"{self.stage}/{self.status}"

    def request(self) -> dict[str, str]:
        """Return the ModelLifeCycle of an UpdateModelPackage."""
        described = self.description[:_DESCRIPTION_MAX]
        return {"Stage": self.stage, "StageStatus": self.status, "StageDescription": described}


def of_package(described: Mapping[str, Any]) -> LifeCycle | None:
    """Read a described or listed package; None if nobody wrote its life cycle."""
    found = described.get("ModelLifeCycle")
    return (
        LifeCycle(found["Stage"], found["StageStatus"], found.get("StageDescription", "")) if found else None
    )


def name_of(stage: str) -> str:
    """Return the registry's name of a stage: `production` is its predefined `Production`."""
    return stage[:1].upper() + stage[1:]


def truth(place: Place) -> LifeCycle:
    """Return the life cycle that says what is so."""
    live = f"live on {', '.join(place.live_on)}"
    if place.live_on and place.awaited:
        return LifeCycle(name_of(place.awaited), _PENDING, f"{live}; a person releases it to {place.awaited}")
    if place.live_on:
        return LifeCycle(name_of(place.live_on[-1]), _APPROVED, live)
    if place.last is not None and place.last.status == "rolled_back":
        said = f"rolled back on {place.last.stage}, release {place.last.release_id}"
        return LifeCycle(name_of(place.last.stage), _REJECTED, said)
    if place.last is not None and place.last.promoted_at is not None:
        said = f"served on {place.last.stage} until {place.last.ended_at}, release {place.last.release_id}"
        return LifeCycle(_ARCHIVED, _RETIRED, said)
    if place.arriving is not None:
        return LifeCycle(name_of(place.arriving), _HELD, f"a release to {place.arriving} is under way")
    if place.last is not None:
        said = f"not released to {place.last.stage}: {place.last.release_id} {place.last.status}"
        return LifeCycle(name_of(place.last.stage), _HELD, said)
    return LifeCycle(_DEVELOPMENT, _OF_APPROVAL.get(place.approval_status, _PENDING), "released nowhere")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person's change comes to: `stage` is released to if it is adopted; `reason` is for people."""

    verdict: Verdict
    reason: str
    stage: str | None = None


def judge(said: LifeCycle, place: Place, model: str, pipeline: str) -> Judgement:
    """Judge what a person wrote into the registry; `model` is the version's name in commands."""
    if said.text == truth(place).text:
        return Judgement("noted", "it says what is so")
    if place.arriving is not None and said.stage.lower() in (place.arriving.lower(), _ARCHIVED.lower()):
        return _overtaken(said, place.arriving, model)
    if said.stage == _ARCHIVED:
        return _contradicted(place.live_on, pipeline) or Judgement("noted", "it serves nowhere")
    stage = next((each for each in place.stages if name_of(each).lower() == said.stage.lower()), None)
    if stage is None:
        return Judgement("noted", f"the project has no stage {said.stage}: nothing follows from it")
    if said.status == _APPROVED:
        return _approved(stage, place, model)
    if stage in place.live_on:
        return _contradicted([stage], pipeline) or Judgement("noted", "it serves nowhere")
    return Judgement("noted", f"it does not serve on {stage}: nothing follows from it")


def _overtaken(said: LifeCycle, stage: str, model: str) -> Judgement:
    """Judge what was written while a release brings the version to a stage: its end says what is so."""
    under_way = f"a release to {stage} is under way"
    if said.status == _APPROVED:
        return Judgement("noted", f"{under_way} already")
    return Judgement(
        "refused", f"{under_way}, which the registry does not stop: `sluice reject {model}` does"
    )


def _approved(stage: str, place: Place, model: str) -> Judgement:
    if stage in place.live_on:
        return Judgement("noted", f"it is live on {stage}")
    if place.approval_status != "Approved":
        return Judgement(
            "refused", f"the version is {place.approval_status}: `sluice approve {model}` comes first"
        )
    if stage == place.awaited:
        return Judgement("adopted", f"{stage} waits for it: it is released there", stage)
    before = place.stages[max(place.stages.index(stage) - 1, 0)]
    return Judgement(
        "refused",
        f"{stage} does not wait for it, as it is not live on {before}: "
        f"`sluice approve {model} --stage {stage}` releases it there all the same",
    )


def _contradicted(live_on: Sequence[str], pipeline: str) -> Judgement | None:
    """Refuse to call a version anything else where it serves: the registry takes nothing back."""
    if not live_on:
        return None
    stage = live_on[-1]
    return Judgement(
        "refused",
        f"it serves on {', '.join(live_on)}: `sluice rollback {pipeline} --stage {stage}` takes it back",
    )
