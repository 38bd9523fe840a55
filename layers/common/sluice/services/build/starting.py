"""Start a run that a person asks for: at once or not at all, as the answer to the request says.

It takes the same lock and the same number as a build that data cause. It waits for no quiet period, cooldown
or budget, and is never skipped as nothing new.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Pipeline, Run, RunRequest
from sluice.domain import failures, names
from sluice.domain.actors import unverified
from sluice.domain.failures import ConflictError
from sluice.domain.times import from_iso
from sluice.services import building
from sluice.services.build import launching
from sluice.services.build.wishes import NotStartedError, Wanted, find_request, plan

if TYPE_CHECKING:
    from sluice.ports import Cloud

_ATTEMPTS = 5
_KEPT = timedelta(days=30)


def start(cloud: Cloud, wanted: Wanted) -> RunRequest:
    """Start the run, or write down why not; a repeated request has the same answer."""
    for _ in range(_ATTEMPTS):
        request = find_request(cloud, wanted.pipeline, wanted.request_id) or _decide(cloud, wanted)
        if request is None:
            continue
        if request.run_id:
            _launch(cloud, wanted.pipeline, request.run_id)
        return request
    raise ConflictError(f"{wanted.pipeline} changed each time while a run of it was to start")


def _decide(cloud: Cloud, wanted: Wanted) -> RunRequest | None:
    """Write the answer; None if others were faster, and it has to be decided anew."""
    at, actor = cloud.now(), unverified(wanted.actor)
    expires_at = int((from_iso(at) + _KEPT).timestamp())
    answer = RunRequest(wanted.pipeline, wanted.request_id, "refused", at, actor, expires_at=expires_at)
    try:
        run = plan(cloud, wanted)
    except NotStartedError as error:
        return _refuse(cloud, answer, failures.bounded(error.reasons))
    state = building.find_pipeline(cloud, wanted.pipeline)
    if state is None:
        return None
    if state.in_flight:
        return _refuse(cloud, answer, [f"{state.in_flight} is in flight"], state.in_flight)
    return _claim(cloud, state, run, answer)


def _refuse(
    cloud: Cloud, answer: RunRequest, reasons: list[str], in_flight: str | None = None
) -> RunRequest | None:
    refused = replace(answer, reasons=reasons, in_flight=in_flight)
    return refused if cloud.catalog.apply(builds.refuse_request(refused)) else None


def _claim(cloud: Cloud, state: Pipeline, planned: Run, answer: RunRequest) -> RunRequest | None:
    run_id = names.run_id(state.name, state.build_seq + 1)
    run = replace(planned, run_id=run_id, started_at=answer.at, actor=answer.actor)
    taken = replace(answer, status="taken", run_id=run_id)
    return taken if cloud.catalog.apply(*builds.claim_by_hand(state, run, taken)) else None


def _launch(cloud: Cloud, pipeline: str, run_id: str) -> None:
    """Start the execution, unless a former attempt did."""
    run = building.find_run(cloud, pipeline, run_id)
    if run is not None and run.execution_arn is None and not run.has_ended:
        launching.execute(cloud, run)
