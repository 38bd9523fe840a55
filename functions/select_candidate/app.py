"""SelectCandidate task: choose the best trained candidate, and the champion it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog.changes import Change, builds
from sluice.catalog.records.builds import Run, Step
from sluice.domain import failures, names, wording
from sluice.domain.build import archives, candidates, champions, selection
from sluice.domain.build.errors import BuildError, DatasetChangedError
from sluice.domain.build.selection import Selection, Trained
from sluice.domain.config.models import Train
from sluice.domain.locations import bucket_and_key
from sluice.events import SelectCandidateTask, event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import championing, measuring
from sluice.services.building import Begun
from sluice.services.data import presence
from sluice.services.side_by_side import together
from sluice.services.timeline import noting
from sluice.tasks import machine_task

_KEYS_SHOWN = 5


class NoCandidateError(BuildError):
    """No candidate was trained; the reasons of all follow."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=SelectCandidateTask)
def lambda_handler(task: SelectCandidateTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    begun = building.find_begun(cloud, task, *presence.known_by(task.pipeline))
    run, config = begun.run, begun.config()
    if config.build is not None:
        _check_unchanged(cloud, task, begun)
        return _taken_over(cloud, task, begun)
    _, chosen, champion = together(
        partial(_check_unchanged, cloud, task, begun),
        partial(_choose, cloud, task, config.train),
        # A reproduction is compared with what it reproduces.
        lambda: None if run.reproduces else championing.find(cloud, run, begun.project, config),
    )
    if chosen.best is None:
        return {"is_final": False, "candidates": [*chosen.next_rung]}
    model = chosen.best.model
    _record(cloud, task, run, config.train, chosen.best.selection, champion)
    return {
        "is_final": True,
        # Pin the version: any job of the run may overwrite the model before the registration.
        "candidate": model,
        "evaluations": champions.evaluations(model["model_uri"], task.project_version, champion),
        "champion": None if champion is None else champions.identity(champion),
    }


def _taken_over(cloud: Cloud, task: SelectCandidateTask, begun: Begun) -> dict[str, Any]:
    """Return the version that a pipeline of SageMaker registered and evaluated, or why there is none."""
    from sluice.services.build import taking_over  # few builds run one

    found = taking_over.take(cloud, task)
    if isinstance(found, str):
        return {"is_final": True, "outcome": "nothing registered", "reasons": [failures.cut(found)]}
    run = begun.run
    champion = None if run.reproduces else championing.find(cloud, run, begun.project, begun.config())
    if problem := taking_over.take_champion(cloud, task, champion):
        champion = {**(champion or {}), "problem": problem}
    detail = {"objective": None, "direction": None, "ranked": [names.PIPELINE]}
    _record_selection(cloud, task, run, detail, f"the pipeline registered it as {found.package}", champion)
    model = {"step": names.PIPELINE, "model_uri": found.model_uri, "model_version_id": found.model_version_id}
    return {
        "is_final": True,
        "outcome": "evaluated",
        "candidate": model,
        "evaluations": champions.evaluations(found.model_uri, task.project_version, champion),
        "champion": None if champion is None else champions.identity(champion),
    }


@dataclass(frozen=True, slots=True)
class _Best:
    """The best candidate's model, and the selection that found it."""

    model: dict[str, str]
    selection: Selection


@dataclass(frozen=True, slots=True)
class _Choice:
    """The names of the next rung's candidates; after the last rung the best of all."""

    next_rung: Sequence[str] = ()
    best: _Best | None = None


def _choose(cloud: Cloud, task: SelectCandidateTask, train: Train) -> _Choice:
    trained, next_rung = _trained(cloud, task, train)
    return _Choice(next_rung) if next_rung else _Choice(best=_best(cloud, task, trained, train))


def _trained(cloud: Cloud, task: SelectCandidateTask, train: Train) -> tuple[list[Trained], list[str]]:
    """Return the candidates of all rungs that were trained, and the names of the next one's candidates.

    Which go on follows from the results alone, so a repeated task plans the same.
    """
    trained, planned, rung = list[Trained](), candidates.first(train), 0
    while planned:
        found = [
            measuring.complete(cloud, task.run_id, train, candidate)
            for candidate in measuring.find_trained(cloud, task.run_id, planned)
        ]
        if rung and not any(candidate.status for candidate in found):
            break
        trained += found
        planned = selection.promoted(train, rung, found)
        rung += 1
    return trained, planned


def _best(cloud: Cloud, task: SelectCandidateTask, trained: list[Trained], train: Train) -> _Best:
    """Return the model of the best candidate that has one: SageMaker completes jobs that saved none, too."""
    while True:
        found = selection.select(train, trained)
        if (best := found.best) is None:
            _remark(cloud, task, found)
            raise NoCandidateError(failures.together(found.reasons))
        uri = str(best.model_uri)
        bucket, key = bucket_and_key(uri)
        opened = cloud.objects.open(bucket, key)
        problem = archives.NOTHING_SAVED if opened is None else archives.problem(opened[1])
        if opened is not None and problem is None:
            model = {"step": best.step, "model_uri": uri, "model_version_id": opened[0].version_id}
            return _Best(model, found)
        # For SageMaker, and so for the step, the job is completed.
        cloud.catalog.apply(builds.remark_on_step(task.run_id, best.step, problem))
        failed = Trained(best.step, "Failed", failure_reason=problem)
        trained = [failed if each.step == best.step else each for each in trained]


def _record(
    cloud: Cloud,
    task: SelectCandidateTask,
    run: Run,
    train: Train,
    found: Selection,
    champion: dict[str, Any] | None,
) -> None:
    """Record what was chosen and why, and against whom it has to stand."""
    detail = {
        "objective": train.candidates.objective,
        "direction": train.candidates.direction,
        "ranked": [each.step for each in found.ranked],
    }
    _record_selection(cloud, task, run, detail, selection.why(train, found), champion)
    _remark(cloud, task, found)


def _record_selection(
    cloud: Cloud,
    task: SelectCandidateTask,
    run: Run,
    detail: dict[str, Any],
    why: str,
    champion: dict[str, Any] | None,
) -> None:
    identity = None if champion is None else champions.identity(champion)

    def record(at: str) -> list[Change]:
        step = Step(
            run_id=task.run_id,
            step=names.SELECT,
            status="Completed",
            kind="selection",
            started_at=at,
            ended_at=at,
            detail={**detail, "why": why, "champion": identity},
        )
        noted = noting(task.pipeline, at, task.run_id, "candidate selected", why)
        return [builds.record_step(step), noted]

    building.reach(cloud, task, run, "selected", record)


def _remark(cloud: Cloud, task: SelectCandidateTask, found: Selection) -> None:
    """Note with completed jobs what they did not report."""
    for step, problem in found.problems.items():
        if problem.startswith(selection.UNREPORTED):
            cloud.catalog.apply(builds.remark_on_step(task.run_id, step, problem))


def _check_unchanged(cloud: Cloud, task: SelectCandidateTask, begun: Begun) -> None:
    if begun.run.restored_uri:
        # It reads copies, which no job can write.
        return
    if changed := presence.changed_since_made(cloud, task.pipeline, task.dataset_version, begun.others):
        shown = ", ".join(changed[:_KEYS_SHOWN])
        raise DatasetChangedError(
            f"{wording.count(len(changed), 'object')} changed while the run read them: {shown}"
        )
