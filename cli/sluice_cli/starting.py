"""`sluice start` and `sluice retry`: ask the stack for a run, and wait for its answer."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sluice.catalog.records.builds import Run, RunRequest
from sluice.domain import names
from sluice.domain.build import candidates
from sluice.domain.config import overrides
from sluice.services import building
from sluice.services.build import wishes
from sluice.services.build.wishes import NotStartedError, Wanted
from sluice.services.views import foresight
from sluice_cli import bus, lookup, project, waiting
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError
from sluice_cli.target import Target

_ANSWER_S = 120
_LOCK_S = 6 * 3600


def read_overrides(target: Target, pipeline: str, assignments: Sequence[str]) -> dict[str, Any]:
    """Read what was typed for the pipeline's project; raises CommandError with every problem."""
    if not assignments:
        return {}
    try:
        return overrides.read_all(lookup.pushed_config(target, pipeline), assignments)
    except overrides.OverrideError as error:
        raise CommandError(
            str(error),
            hint="Nothing was started. docs/runs.md says what can be overridden.",
            exit_code=EXIT_USAGE,
        ) from None


def wish(target: Target, pipeline: str, **given: Any) -> Wanted:
    """Make a wish of whoever calls."""
    actor = target.call("sts", "get_caller_identity")["Arn"]
    return Wanted(pipeline, uuid.uuid4().hex, actor, **given)


def planned(target: Target, wanted: Wanted, *, foresees: bool = False) -> dict[str, Any]:
    """Return what the run would be; raises CommandError if there can be none.

    `foresees` which steps would use what was done before, which reads that.
    """
    try:
        run = wishes.plan(target.cloud, wanted)
    except NotStartedError as error:
        raise _refused(wanted, *error.reasons) from None
    ahead = {"foreseen": foresight.foresee(target.cloud, run)} if foresees else {}
    return {"pipeline": wanted.pipeline, **_described(target, run), **ahead}


def _described(target: Target, run: Run) -> dict[str, Any]:
    its, values = building.config_of(target.cloud, run), dict(run.overrides or {})
    # A pipeline of SageMaker has no candidates.
    train, of_pipeline = its.train_, its.build.parameters if its.build else None
    state = building.find_pipeline(target.cloud, run.pipeline)
    return {
        "cause": run.cause,
        "project_version": run.project_version,
        "overrides": values,
        # A push told of those that it knew.
        "warnings": [said for said in project.unpriced(its) if said.partition(":")[0] in values],
        "dataset_version": run.given_dataset,
        "retry_of": run.retry_of,
        "uses_cache": not run.is_uncached,
        "candidates": [
            {**train.hyperparameters, **candidates.values_of(train, f"{names.TRAIN}{name}")}
            for name in candidates.first(train)
        ]
        if train
        else [],
        "parameters": of_pipeline,
        "in_flight": state.in_flight if state else None,
    }


def _refused(wanted: Wanted, *reasons: str) -> CommandError:
    """Say why there is no such run. A reproduction gives no values: it lacks what its model was made of."""
    code = EXIT_REJECTED if wanted.reproduces else EXIT_USAGE
    return CommandError("; ".join(reasons), hint="Nothing was started.", exit_code=code)


def ask(target: Target, wanted: Wanted, *, waits: bool, say: waiting.Say) -> str:
    """Have the run started; returns its id. `waits` for the run that is in flight, if there is one."""
    while True:
        answer = _answer(target, wanted)
        if answer.run_id:
            return answer.run_id
        if answer.in_flight is None:
            raise _refused(wanted, *answer.reasons)
        if not waits:
            raise CommandError(
                f"{answer.in_flight} is in flight, and a pipeline has one run at a time",
                hint=f"Add --wait, or end it with `sluice stop {answer.in_flight}`.",
            )
        say(f"{answer.in_flight} is in flight")
        _until_free(target, wanted.pipeline)
        wanted = replace(wanted, request_id=uuid.uuid4().hex)


def _answer(target: Target, wanted: Wanted) -> RunRequest:
    detail = {
        "stack": target.stack,
        "pipeline": wanted.pipeline,
        "request_id": wanted.request_id,
        "actor": wanted.actor,
        "overrides": dict(wanted.overrides),
        "dataset_version": wanted.dataset_version,
        "retry_of": wanted.retry_of,
        "is_uncached": wanted.is_uncached,
        "reproduces": wanted.reproduces,
        "tolerance": wanted.tolerance,
    }
    bus.announce(target.client("events"), "RunRequested", detail)
    return waiting.until(
        lambda: wishes.find_request(target.cloud, wanted.pipeline, wanted.request_id),
        timeout_s=_ANSWER_S,
        what="the stack to answer (`sluice logs --function start_run` shows why)",
        otherwise=waiting.ASK_AGAIN,
    )


def _until_free(target: Target, pipeline: str) -> None:
    def look() -> bool | None:
        state = building.find_pipeline(target.cloud, pipeline)
        return None if state and state.in_flight else True

    waiting.until(look, timeout_s=_LOCK_S, what="the run in flight to end")
