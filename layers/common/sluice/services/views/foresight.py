"""Foresee which steps of a run would use what was done before, and what that saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline, Project, Run, Step
from sluice.domain import names
from sluice.domain.build import candidates, champions, costs, jobs, selection
from sluice.domain.build.selection import Trained
from sluice.domain.config import PipelineConfig
from sluice.events import StartJobTask
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import caching, championing, requesting
from sluice.services.build.caching import Found
from sluice.services.data import arrivals
from sluice.services.views import reuse

_CANDIDATE = names.evaluate_step("candidate")
_CHAMPION = names.evaluate_step(champions.ROLE)
# A step is estimated from so many of its kind.
_PRICED_FROM = 5


def foresee(cloud: Cloud, run: Run) -> dict[str, Any]:
    """Return what would become of a run's first steps, as `reuse.explain` tells of an ended run's.

    An `outcome` is `open` if it depends on what an earlier step writes, or on data that nobody listed yet.
    `saved_usd` is what the reused ones cost when they were computed; None if a part of that is unknown.
    `estimate` is what all these steps cost by former ones of their kinds, if none is reused; None if unknown.
    """
    state = building.find_pipeline(cloud, run.pipeline) or Pipeline(run.pipeline, run.project_version)
    project = building.find_project(cloud, run.pipeline, run.project_version)
    config = building.overridden(project, run)
    if config.build is not None:
        why = "SageMaker decides by the CacheConfig of the pipeline's own steps"
        return {
            "steps": [{"step": names.PIPELINE, "outcome": "open", "why": why}],
            "saved_usd": None,
            "estimate": None,
        }
    planned = replace(run, run_id=names.run_id(run.pipeline, state.build_seq + 1))
    ahead = _Ahead(
        cloud,
        planned,
        project,
        config,
        run.given_dataset or _unchanged(cloud, state),
        tuple(reuse.steps_before(cloud, run.pipeline, planned.run_id)),
    )
    steps = ahead.steps()
    return {
        "steps": reuse.with_changed_packages(cloud, [each for each, _ in steps]),
        "saved_usd": _saved([source for _, source in steps]),
        "estimate": ahead.estimate(steps),
    }


_Told = tuple[dict[str, Any], Step | None]


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A run before its start, and the steps of those before it."""

    cloud: Cloud
    run: Run
    project: Project
    config: PipelineConfig
    dataset_version: str | None
    former: Sequence[Step]

    def steps(self) -> list[_Told]:
        """Return of each step what would become of it, and whose outputs it would use.

        The champion is what serves now; what is released meanwhile would be another.
        """
        training = [f"{names.TRAIN}{name}" for name in candidates.first(self.config.train)]
        champion = None if self.run.reproduces else self._champion()
        evaluations = [_CANDIDATE] if champion is None else [_CANDIDATE, _CHAMPION]
        if self.dataset_version is None:
            said = [self._open(names.PREPARE, "there may be other data than those of the last data set")]
            return said + self._after(names.PREPARE, [*training, *evaluations])
        told, prepared = self._step(names.PREPARE)
        if prepared is None:
            return [(told, None), *self._after(names.PREPARE, [*training, *evaluations])]
        trained = [self._step(step, prepared) for step in training]
        said = [(told, prepared), *trained, self._evaluation(prepared, trained)]
        if champion is not None:
            said.append(self._step(_CHAMPION, prepared, champion["model_uri"], image=champion["image"]))
        return said

    def estimate(self, steps: Sequence[_Told]) -> dict[str, Any] | None:
        """Price the steps; None if one was never priced, or if later rungs follow."""
        if len(candidates.rungs(self.config.train)) > 1:
            return None
        found = costs.of_planned({told["step"]: self._price(told["step"], source) for told, source in steps})
        return None if found.usd is None else asdict(found)

    def _price(self, step: str, source: Step | None) -> costs.Estimate:
        """Price a step by the one that it uses, or else by the newest of its kind that were computed."""
        kind = caching.section(step)
        same = [
            each
            for each in self.former
            if caching.section(each.step) == kind and each.contents and not each.cached
        ]
        return costs.estimate(
            costs.usd_of_item(_priced(each)) for each in ([source] if source else same[:_PRICED_FROM])
        )

    def _champion(self) -> dict[str, Any] | None:
        """Return the champion that the run would score; one that cannot be scored has no step."""
        found = championing.find(self.cloud, self.run, self.project, self.config)
        return found if found and "model_uri" in found else None

    def _evaluation(self, prepared: Step, trained: Sequence[_Told]) -> _Told:
        found = [
            Trained(told["step"], source.status, source.metrics or {}, model_uri=source.model_uri)
            for told, source in trained
            if source is not None
        ]
        if len(found) < len(trained):
            return self._after("training", [_CANDIDATE])[0]
        best = selection.select(self.config.train, found).best
        if best is None or selection.promoted(self.config.train, 0, found):
            return self._open(_CANDIDATE, "it depends on later rungs")
        (contents,) = (
            source.contents or {} for told, source in trained if source and told["step"] == best.step
        )
        uri = str(best.model_uri)
        return self._step(_CANDIDATE, prepared, uri, {uri: contents.get("model", "")})

    def _step(
        self,
        step: str,
        prepared: Step | None = None,
        model_uri: str | None = None,
        known: Mapping[str, str] | None = None,
        image: str | None = None,
    ) -> _Told:
        """Say what would become of a step; `known` are digests of content by URI."""
        found = self._found(step, prepared, model_uri, known or {}, image)
        source = found.source
        cached = None if source is None else {"run_id": source.run_id, "step": source.step}
        planned = Step(
            self.run.run_id,
            step,
            "Starting",
            jobs.kind_of(step),
            cache_key=found.key,
            cache_parts=found.parts,
            cache_miss=found.miss,
            cached=cached,
        )
        return reuse.explained(planned, self.former), source

    def _found(
        self,
        step: str,
        prepared: Step | None,
        model_uri: str | None,
        known: Mapping[str, str],
        image: str | None,
    ) -> Found:
        task = StartJobTask(
            pipeline=self.run.pipeline,
            run_id=self.run.run_id,
            project_version=self.run.project_version,
            task_token="",
            step=step,
            dataset_version=str(self.dataset_version),
            model_uri=model_uri,
            image=image,
        )
        build = requesting.build_of(self.cloud, task, self.project, self.run, prepared)
        wanted = requesting.WantedJob(task, self.project, self.run, None, prepared, build)
        environment = self._environment(step)
        hyperparameters = candidates.of_step(self.config.train, step)
        own = build if environment is None else jobs.on_lambda(build)
        request = requesting.request_of(task, own, hyperparameters)
        return caching.find(self.cloud, wanted, request, environment, known)

    def _environment(self, step: str) -> str | None:
        """Return the packages that the job would have on Lambda: those that one of its kind had last.

        Whoever asks may have another Python than the functions, and could not tell by itself.
        """
        section = caching.section(step)
        if self.config.computes[section].backend == "sagemaker":
            return None
        same = [each for each in self.former if each.contents and caching.section(each.step) == section]
        # A champion may have an image of its own.
        same.sort(key=lambda each: each.step != step and _CHAMPION in (each.step, step))
        return next((each.environment for each in same), None)

    def _after(self, what: str, steps: Sequence[str]) -> list[_Told]:
        return [self._open(step, f"it depends on what {what} writes") for step in steps]

    def _open(self, step: str, why: str) -> _Told:
        return {"step": step, "outcome": "open", "why": why}, None


def _unchanged(cloud: Cloud, state: Pipeline) -> str | None:
    """Return the last data set version, if nothing has arrived and nothing was deleted since."""
    touched = cloud.catalog.query(keys.partition(state.name), keys.TOUCHED, limit=1)
    if arrivals.waiting(cloud, state.name) or any(True for _ in touched):
        return None
    return state.dataset_version


def _saved(sources: Sequence[Step | None]) -> float | None:
    known = [costs.usd_of_item(_priced(source)) for source in sources if source is not None]
    return None if None in known else sum(usd or 0.0 for usd in known)


def _priced(source: Step) -> Mapping[str, Any]:
    return {"step": source.step, **source.item()}
