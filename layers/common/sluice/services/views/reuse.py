"""Explain which steps of a run used what was done before, and of the others which input changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Step
from sluice.domain import names
from sluice.domain.build import candidates, run_manifest, step_cache
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import environments

# So many runs before it a step is compared with.
_RUNS_MAX = 20


def explain(cloud: Cloud, pipeline: str, run_id: str) -> list[dict[str, Any]]:
    """Return what became of each job's step, in order: `cached` from another, or computed and why.

    A step that was computed is compared with the step of its kind, of the newest runs before, from which it
    differs least; `differences` are its inputs that changed, each from what to what.
    """
    steps = [step for step in building.find_steps(cloud, run_id) if step.cached or step.job]
    former = [*steps_before(cloud, pipeline, run_id)] if any(step.cached is None for step in steps) else []
    return with_changed_packages(cloud, [explained(step, former) for step in sorted(steps, key=_place)])


def with_changed_packages(cloud: Cloud, told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return explanations in which the packages that differ follow the digests of all packages."""
    known = cache(partial(_packages, cloud))
    return [
        {**each, "differences": [*_named(each["differences"], known)]} if each.get("differences") else each
        for each in told
    ]


def _named(
    differences: Sequence[Mapping[str, Any]], known: Callable[[str], Mapping[str, str]]
) -> Iterator[Mapping[str, Any]]:
    for each in differences:
        yield each
        if each["part"] == step_cache.PACKAGES and each["before"] and each["now"]:
            before, now = known(each["before"]), known(each["now"])
            # Of two digests of which one is not known any more, all would differ.
            for changed in step_cache.differences(now, before) if before and now else ():
                yield {**asdict(changed), "part": f"{step_cache.PACKAGES}.{changed.part}"}


def _packages(cloud: Cloud, digest: str) -> Mapping[str, str]:
    """Return the version of each package of an environment, and of its Python; nothing if it is gone."""
    try:
        document = environments.describe(cloud, digest)
    except FileNotFoundError:
        return {}
    return {"Python": document["python"], **(run_manifest.packages(document.get("packages")) or {})}


def _place(step: Step) -> tuple[object, ...]:
    """Order steps as a run has them: prepare, candidates by their numbers, evaluations."""
    if candidates.is_candidate(step.step):
        index, rung = candidates.place(step.step)
        return 1, rung, index
    return (0 if step.step == names.PREPARE else 2, 0, 0, step.step)


def steps_before(cloud: Cloud, pipeline: str, run_id: str) -> Iterator[Step]:
    """Yield the steps of runs before, the newest run's first."""
    this = keys.run_key(pipeline, run_id)
    # Of all runs of a pipeline the numbers have the same length.
    span = keys.RUNS, this["sk"]
    for item in cloud.catalog.query(
        this["pk"], between=span, after=this["sk"], newest_first=True, limit=_RUNS_MAX
    ):
        yield from building.find_steps(cloud, keys.run_id_of(item))


def explained(step: Step, former: Sequence[Step]) -> dict[str, Any]:
    """Say what became of a step, and if it was computed, from which of the former ones it differs least."""
    if step.cached:
        return {"step": step.step, "outcome": "cached", "key": step.cache_key, "from": dict(step.cached)}
    told: dict[str, Any] = {"step": step.step, "outcome": "computed", "key": step.cache_key}
    if step.cache_miss or step.cache_parts is None:
        return {**told, "why": step.cache_miss or "what it depends on is not known"}
    same = [each for each in former if _is_alike(each, step)]
    if not same:
        return {**told, "why": "no step of its kind completed in the runs before"}
    parts = step.cache_parts
    # Of equally near ones the newest, which comes first.
    nearest = min(same, key=lambda each: len(step_cache.differences(parts, each.cache_parts or {})))
    found = step_cache.differences(parts, nearest.cache_parts or {})
    return {
        **told,
        "why": None if found else "the step that did the same completed later, or is not remembered",
        "compared_with": {"run_id": nearest.run_id, "step": nearest.step},
        "differences": [asdict(each) for each in found],
    }


def _is_alike(former: Step, step: Step) -> bool:
    """Tell whether a completed step is of the same kind: any candidate or evaluation is like any other."""
    is_same = former.step == step.step or any(
        kind(former.step) and kind(step.step) for kind in (candidates.is_candidate, _is_evaluation)
    )
    return is_same and former.status == building.COMPLETED and former.cache_parts is not None


def _is_evaluation(step: str) -> bool:
    return step.startswith(names.evaluate_step(""))
