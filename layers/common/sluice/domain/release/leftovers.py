"""Tell which endpoint configs and models of former releases nobody needs any more."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from sluice.domain import names
from sluice.lazy import dataclass

_RELEASE = re.compile(r"(?P<pipeline>[a-z][a-z0-9-]*)-v\d+-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Made:
    """A config or a model of a release, as SageMaker lists it, and the stage of a config."""

    name: str
    arn: str
    created_at: str
    release_id: str
    stage: str = ""

    @property
    def pipeline(self) -> str:
        return pipeline_of(self.release_id) or ""


def pipeline_of(release_id: str) -> str | None:
    """Return the pipeline in a release's id; None if it is no such id."""
    found = _RELEASE.fullmatch(release_id)
    return found["pipeline"] if found else None


def release_of_name(stack: str, name: str, stages: Iterable[str]) -> tuple[str, str] | None:
    """Return the release and the stage in the name of a config; None if it does not have them whole."""
    name = names.without_shadow(name)
    for stage in stages:
        release = names.release_of_config(stack, stage, name)
        if release and pipeline_of(release):
            return release, stage
    return None


def old_configs(found: Sequence[Made], keep: int, needed: Collection[str]) -> list[Made]:
    """Return what may go of a stage's configs: all but the newest `keep`, and what is needed however old."""
    newest_first = sorted(found, key=lambda each: each.created_at, reverse=True)
    return [each for each in newest_first[keep:] if each.name not in needed]


def old_models(found: Sequence[Made], keep: int, needed: Collection[str], before: str) -> list[Made]:
    """Return what may go of a pipeline's models: made before a time, of no release that is still needed."""
    newest_first = sorted(found, key=lambda each: each.created_at, reverse=True)
    return [
        each for each in newest_first[keep:] if each.release_id not in needed and each.created_at < before
    ]


def said(removed: Mapping[str, int]) -> str:
    """Say what was removed, for the timeline."""
    counted = [f"{count} {what}{'' if count == 1 else 's'}" for what, count in removed.items() if count]
    listed = ", ".join(counted[:-1]) + " and " + counted[-1] if len(counted) > 1 else counted[0]
    return f"{listed} of former releases were removed: no stage needs them"
