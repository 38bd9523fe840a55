"""Show the steps of a run as a graph: which run beside each other, which after which, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from sluice.domain import names
from sluice.domain.build import candidates, gate_report, usage
from sluice.lazy import dataclass

State = Literal["done", "failed", "running", "waiting"]
Step = Mapping[str, Any]
_ENDS: dict[str, State] = {"Completed": "done", "Failed": "failed", "Stopped": "failed"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A state of the machine that starts jobs or decides; `steps` are names of the run's steps there."""

    name: str
    has: Callable[[str], bool]


_STAGES = (
    Stage("pipeline", lambda step: step == names.PIPELINE or step.startswith(names.OF_PIPELINE)),
    Stage("prepare", lambda step: step == names.PREPARE),
    Stage("train", candidates.is_candidate),
    Stage("select", lambda step: step == names.SELECT),
    Stage("evaluate", lambda step: step.startswith(names.evaluate_step(""))),
    Stage("gates", lambda step: step == names.GATES),
    Stage("register", lambda step: step == "register"),
)


def stages(run: Mapping[str, Any], steps: Sequence[Step], now: str) -> list[dict[str, Any]]:
    """Return the stages in order, each `{"name", "state", "steps", "after"}`; while it runs, all to its end.

    Only if packages were built for it has it that stage, with `took_s`, or `so_far_s` by `now`.

    Steps of no known stage come first of all, in a stage of their own name. Rungs of successive halving are
    stages that follow each other.
    """
    found = [_data(run), _validation(run), _packages(run, steps, now)]
    known = {step["step"] for step in steps for stage in _STAGES if stage.has(step["step"])}
    found += [_stage(step["step"], [step], run) for step in steps if step["step"] not in known]
    for stage in _of(run):
        mine = [step for step in steps if stage.has(step["step"])]
        if stage.name == "evaluate":
            # The candidate, and then the champion.
            mine.sort(key=lambda step: str(step["step"]))
        if stage.name == "train":
            found += _rungs(mine, run)
        else:
            found.append(_stage(stage.name, mine, run))
    shown = [stage for stage in found if stage["state"] is not None]
    shown += _failed_without_a_step(run, steps, shown)
    for before, after in pairwise(shown):
        after["after"] = before["name"]
    return shown


def _failed_without_a_step(
    run: Mapping[str, Any], steps: Sequence[Step], shown: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the stage that a failed run came to if it failed before that had a step; none if it has one.

    Such as `select`, where no candidate reported the objective, and `gates`, where there is no evaluation.
    """
    if run.get("status") != "failed" or any(stage["state"] == "failed" for stage in shown):
        return []
    planned = _of(run)
    past = [at for at, stage in enumerate(planned) if any(stage.has(step["step"]) for step in steps)]
    following = planned[max(past, default=-1) + 1 :]
    return [{"name": stage.name, "state": "failed", "steps": [], "after": None} for stage in following[:1]]


def _of(run: Mapping[str, Any]) -> list[Stage]:
    """Return the stages that a run may come to."""
    left_out = ("prepare", "train") if run.get("runs_pipeline") else ("pipeline",)
    return [stage for stage in _STAGES if stage.name not in left_out]


def _rungs(steps: Sequence[Step], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    rungs: dict[int, list[Step]] = {}
    for step in sorted(steps, key=lambda step: candidates.place(step["step"])):
        rungs.setdefault(candidates.place(step["step"])[1], []).append(step)
    if not rungs:
        return [_stage("train", [], run)]
    return [_stage(f"train rung {rung}" if rung else "train", rungs[rung], run) for rung in sorted(rungs)]


def _stage(name: str, steps: Sequence[Step], run: Mapping[str, Any]) -> dict[str, Any]:
    listed = [step["step"] for step in steps]
    return {"name": name, "state": _state(steps, run), "steps": listed, "after": None}


def _state(steps: Sequence[Step], run: Mapping[str, Any]) -> State | None:
    """Return the state of a stage; None if a run that has ended never came to it."""
    if not steps:
        return "waiting" if run.get("status") == "running" else None
    # The steps of a pipeline of SageMaker are told of with the pipeline's own.
    steps = [step for step in steps if step["step"] == names.PIPELINE] or steps
    states = {_ENDS.get(str(step.get("status")), "running") for step in steps}
    if "running" in states and run.get("status") == "running":
        return "running"
    if any(gate_report.refuses(step) or _ends(step, run) for step in steps):
        return "failed"
    # Of candidates and evaluations one may fail.
    return "done" if "done" in states else "failed"


def _ends(step: Step, run: Mapping[str, Any]) -> bool:
    """Tell whether a run came no further than a step, though others of its stage have completed."""
    if run.get("status") == "stopped":
        return step.get("status") == "Stopped"
    if run.get("status") != "failed":
        return False
    state = _ENDS.get(str(step.get("status")))
    is_needed = step["step"] == names.evaluate_step("candidate")
    return state is None or bool(step.get("stopped_because")) or (is_needed and state == "failed")


def _data(run: Mapping[str, Any]) -> dict[str, Any]:
    return _of_run("data", run, is_done=bool(run.get("dataset_version")))


def _validation(run: Mapping[str, Any]) -> dict[str, Any]:
    stage = _of_run("validate", run, is_done=bool(run.get("validated_at")))
    if not run.get("dataset_version"):
        stage["state"] = "waiting" if run.get("status") == "running" else None
    elif run.get("status") == "data_rejected":
        stage["state"] = "failed"
    return stage


def _packages(run: Mapping[str, Any], steps: Sequence[Step], now: str) -> dict[str, Any]:
    """Return the building of packages for jobs on Lambda, with how long it took, if the run waited for it."""
    began = run.get("packaged_at")
    first = min(filter(None, map(usage.began_at, steps)), default=None)
    stage = _of_run("packages", run, is_done=first is not None)
    if began is None:
        return {**stage, "state": None}
    stage["took_s"] = usage.seconds(began, first or run.get("ended_at"))
    if stage["state"] == "running":
        stage["so_far_s"] = usage.seconds(began, now)
    return stage


def _of_run(name: str, run: Mapping[str, Any], *, is_done: bool) -> dict[str, Any]:
    """Return a stage without steps; a run that failed and did not come past it failed there."""
    unfinished: dict[str, State] = {"running": "running", "failed": "failed"}
    state = "done" if is_done else unfinished.get(str(run.get("status")))
    return {"name": name, "state": state, "steps": [], "after": None}
