"""The acts of the demo that show what a run took and proved: candidates, cost, gates, manifest."""

from __future__ import annotations

from typing import Any

from sluice.domain import wording
from sluice.domain.money import money
from sluice.services import building
from sluice.services.data import verifying
from sluice.services.views import candidates, costs, gates, lineage, story
from sluice_cli import leaderboard, lineage_tree, lookup, starting, story_page, waiting
from sluice_cli.output import out
from sluice_cli.playing import STAGE, Demo
from sluice_cli.progress import Step

# A model that knows only very frequent words: above the limits, and worse than the one that serves.
WORSE = ("train.hyperparameters.min_df=400",)
_TOLD = ("gate", "value", "limit", "champion", "interval", "confidence", "chance", "rows", "reason")


def show_candidates(demo: Demo, step: Step, run: dict[str, Any]) -> None:
    """Rank what the run tried, and note where its jobs ran and what they cost."""
    found = building.find_run(demo.target.cloud, demo.pipeline, run["run_id"])
    assert found is not None  # noqa: S101 - it has just been followed to its end
    board = candidates.leaderboard(demo.target.cloud, found)
    demo.candidates = board["candidates"]
    jobs = [each for each in building.find_steps(demo.target.cloud, found.run_id) if each.job]
    demo.backend = {each.step: each.backend_reason or each.backend for each in jobs}
    cost = costs.run_cost(demo.target.cloud, run["run_id"]) or {}
    demo.expect(cost.get("usd") is not None, f"the cost is unknown: {cost.get('unknown')}")
    demo.cost_usd = {"run": cost["usd"], **{each["step"]: each["usd"] for each in cost["steps"]}}
    where = " and ".join(sorted({each.backend for each in jobs}))
    step.detail = f"{board['chosen']} of {len(demo.candidates)}; {where}, {money(cost['usd'])} on AWS"
    demo.after(lambda: leaderboard.print_out(board))


def refuse_worse(demo: Demo, step: Step) -> None:
    """Start a run by hand with a value that makes a worse model: the gates refuse it, with an interval."""
    overrides = starting.read_overrides(demo.target, demo.pipeline, WORSE)
    wanted = starting.wish(demo.target, demo.pipeline, overrides=overrides)
    run_id = starting.ask(demo.target, wanted, waits=True, say=step.say)
    run = waiting.run_end(demo.target, demo.pipeline, run_id, step.say)
    demo.note(run)
    demo.expect(run["status"] == "rejected", f"{run_id} ended as {run['status']}: {run.get('reasons')}")
    judged = gates.document(demo.target.cloud, demo.pipeline, run_id) or {"gates": []}
    refused = [gate for gate in judged["gates"] if not gate["passed"] and gate["interval"]]
    demo.expect(bool(refused), f"no gate refused with an interval: {run['reasons']}")
    demo.gate_refused = {"run_id": run_id, **{name: refused[0][name] for name in _TOLD}}
    low, high = refused[0]["interval"]
    number = wording.number
    values = f"{number(refused[0]['value'])} against {number(refused[0]['champion'])}"
    step.detail = f"{run_id}: accuracy {values}, a gain of {number(low)} to {number(high)}"


def verify_manifest(demo: Demo, step: Step) -> None:
    """Hash again all that the live model's manifest names: artifacts, code, and each object of its data."""
    cloud = demo.target.cloud
    arn = lookup.model_arn(demo.target, f"{demo.pipeline}/{demo.live_version}")
    _, run = lineage.find_run(cloud, arn)
    known, checks = verifying.plan(cloud, arn, run)
    found = [*known, *verifying.run_all(checks)]
    demo.manifest_verified = all(finding.is_sound for finding in found)
    changed = ", ".join(finding.name for finding in found if not finding.is_sound)
    demo.expect(demo.manifest_verified, f"v{demo.live_version} is not what its manifest says: {changed}")
    step.detail = f"v{demo.live_version}: {len(found)} things, all intact"
    tree = lineage.model(cloud, arn)
    demo.after(lambda: out.print(lineage_tree.of_model(tree)))


def tell_why(demo: Demo, step: Step) -> None:
    """Tell the whole story of what serves."""
    told = story.why(demo.target.cloud, demo.pipeline, STAGE)
    assert told is not None  # noqa: S101 - it has been released there
    serves = told["serves"] or {"model": "nothing", "version": None}
    demo.expect(serves["version"] == demo.live_version, f"the story is of {serves['model']}")
    step.detail = f"{serves['model']}: `sluice why` has all of it"
    demo.after(lambda: story_page.print_story(told))
