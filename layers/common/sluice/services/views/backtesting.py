"""Judge past runs by gates as they are written now, from what those runs stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.domain import failures, names
from sluice.domain.build import champions
from sluice.domain.build.evaluations import EvaluationError
from sluice.ports import Cloud, Item
from sluice.services import building
from sluice.services.build import judging
from sluice.services.build.judging import Scored
from sluice.services.views import gates as views

if TYPE_CHECKING:
    from sluice.domain.build.verdicts import Verdict
    from sluice.domain.config import PipelineConfig

_GONE = "; `sluice run` shows the reasons of then"


def backtest(cloud: Cloud, pipeline: str, config: PipelineConfig, last: int) -> Iterator[dict[str, Any]]:
    """Yield the newest runs, newest first: the verdict of then, that of now, or why there is none.

    `then` and `now` are `passed` or `rejected`; a run that cannot be judged has a `problem` and no `now`.
    """
    items = cloud.catalog.query(keys.partition(pipeline), keys.RUNS, newest_first=True, limit=last)
    for item in items:
        yield _judged(cloud, pipeline, config, item)


def _judged(cloud: Cloud, pipeline: str, config: PipelineConfig, run: Item) -> dict[str, Any]:
    run_id = keys.run_id_of(run)
    found = {"run_id": run_id, "status": run["status"], "started_at": run.get("started_at")}
    document = views.document(cloud, pipeline, run_id)
    if document is None:
        return {**found, "then": None, **_problem(_without_verdict(run))}
    found["then"] = _word(bool(document["passed"]))
    scored = Scored(cloud, pipeline, run_id)
    try:
        stored = scored.evaluation("candidate").sha256
        if stored != (document["evaluation_sha256"] or stored):
            return {**found, **_problem("its evaluation.json was written again after it was judged")}
        judged = judging.judge(scored, config, _champion(cloud, document), document["models"])
    except EvaluationError as error:
        return {**found, **_problem(f"{error}{_GONE}")}
    if judged.problems:
        return {**found, **_problem("; ".join(judged.problems))}
    now = _word(judged.verdict.passed)
    before = {each["gate"]: each["passed"] for each in document["gates"]}
    return {
        **found,
        "now": now,
        "is_changed": now != found["then"],
        "problem": None,
        "gates": [
            {
                "gate": result.gate,
                "then": None if result.gate not in before else _word(before[result.gate]),
                "now": _word(result.passed),
                "reason": result.reason,
                "uncompared": result.uncompared,
            }
            for result in judged.verdict.results
        ],
        "reasons": [*judged.verdict.reasons] or _former_reasons(document) or _uncompared(judged.verdict),
    }


def _problem(why: str) -> dict[str, Any]:
    return {"now": None, "is_changed": False, "problem": failures.cut(why), "gates": [], "reasons": []}


def _word(passed: bool) -> str:
    return "passed" if passed else "rejected"


def _former_reasons(document: Mapping[str, Any]) -> list[str]:
    """Say what had failed, of a run that passes now."""
    failed = (each for each in document["gates"] if not each["passed"])
    return [f"then failed {each['gate']}: {each['reason']}" for each in failed]


def _uncompared(verdict: Verdict) -> list[str]:
    """Say why gates passed for lack of a comparison."""
    return [*dict.fromkeys(result.reason for result in verdict.results if result.uncompared)]


def _without_verdict(run: Item) -> str:
    if run["status"] == "running":
        return "it is still running"
    if run.get("reproduces"):
        return "it was a reproduction, which is compared and not judged"
    reasons = [str(reason) for reason in run.get("reasons") or ()]
    return f"its gates were not judged: {reasons[0] if reasons else run['status']}"


def _champion(cloud: Cloud, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the run knew of its champion; of an earlier version's run, whether one was evaluated."""
    known: Mapping[str, Any] | None = document["champion"]
    if known is not None or document["models"]:
        return known
    steps = (names.evaluate_step(role) for role in (champions.ROLE, champions.OWN_ROLE))
    return {} if any(building.find_step(cloud, document["run_id"], step) for step in steps) else None
