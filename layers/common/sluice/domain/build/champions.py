"""Find the champion, the serving model that a candidate must beat, and how to score it.

It is what the catalog says is live, even if the registry was cleaned up or the project dropped or renamed the
stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sluice.catalog.records.builds import Project
from sluice.catalog.records.releases import Deployment
from sluice.domain import names
from sluice.domain.build.errors import BuildError
from sluice.lazy import dataclass

ROLE = "champion"
# The role of a champion scored by its own project's script, as the new one's cannot.
OWN_ROLE = "champion-own"
WAY_ON = "mend it, or `sluice push --replace-champion` registers the next model without comparing it"


class ChampionError(BuildError):
    """The champion cannot be scored, for this reason, so the gates that compare with it fail."""


@dataclass(frozen=True, slots=True)
class Live:
    """What a stage serves; there is no deployment if the catalog lost the record of it."""

    stage: str
    position: int
    release_id: str
    deployment: Deployment | None

    @property
    def promoted_at(self) -> str:
        return (self.deployment and self.deployment.promoted_at) or ""


def choose(live: Iterable[Live], stages: Sequence[str]) -> Live | None:
    """Choose what serves on the last of the project's stages, else on the furthest, even a dropped one."""
    serving = {each.stage: each for each in live}
    if stages and stages[-1] in serving:
        return serving[stages[-1]]
    return max(
        serving.values(),
        key=lambda each: (each.position, each.stage in stages, each.promoted_at),
        default=None,
    )


def evaluations(
    candidate_uri: str, project_version: str, champion: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the evaluations of a run; the champion's, if it can be scored, has a fallback.

    The same script scores both, so that the scores compare; the champion runs in its own image, which can
    load it. If that fails, its own project's script scores it on the same hold-out.
    """
    found = [_evaluation("candidate", candidate_uri, project_version)]
    if champion is not None and "model_uri" in champion:
        own = champion["project_version"]
        fallback = names.evaluate_step(OWN_ROLE) if own != project_version else None
        found.append(
            {
                **_evaluation(ROLE, champion["model_uri"], project_version),
                "image": champion["image"],
                "fallback": fallback,
                "fallback_version": own,
            }
        )
    return found


def _evaluation(role: str, model_uri: str, project_version: str) -> dict[str, Any]:
    return {
        "role": role,
        "step": names.evaluate_step(role),
        "model_uri": model_uri,
        "script_version": project_version,
        "image": None,
        "fallback": None,
        "fallback_version": None,
    }


def identity(champion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a champion that the manifest and the gates name."""
    left_out = {"model_uri", "image", "evaluation"}
    return {name: value for name, value in champion.items() if name not in left_out}


def passed_over(project: Project, run_id: str) -> str | None:
    """Say why comparisons do not count, if the project's push waived them and no other run used that up."""
    if not project.replaces_champion_at or project.champion_replaced_by not in (None, run_id):
        return None
    return f"passed over, as {project.replaces_champion_by} pushed the project with --replace-champion"
