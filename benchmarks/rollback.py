"""Measure the time from an alarm until the known good serves, and what of it is ours, what the platform's.

.venv/bin/python benchmarks/rollback.py [--trials N] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import Figure, arguments, report
from loop import deployed_stack, ended_execution
from sluice.services.views import stages
from sluice_cli import log_streams, project, stage_releases, waiting
from sluice_cli.target import REPOSITORY, Target

PROJECT = REPOSITORY / "tests/e2e/tiny"
PIPELINE, STAGE = "tiny", "production"
REQUEST = json.dumps({"x": [5, 95]})
CALL = re.compile(r"(?P<what>START|END) RequestId: (?P<request_id>\S+)")
NOTES = (
    "Ours: react_to_alarm, plan_release, deploy_model. The platform's: the event until the function starts,",
    "and the change of the endpoint, which finish_deployment answers. SageMaker takes minutes for that.",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A rollback's seconds: from the alarm's transition until the known good serves, and until the record."""

    event: float
    react: float
    plan: float
    request: float
    change: float
    record: float

    @property
    def ours(self) -> float:
        return self.react + self.plan + self.request

    @property
    def platform(self) -> float:
        return self.event + self.change

    @property
    def restored(self) -> float:
        return self.ours + self.platform


def train(target: Target, count: int, seed: int) -> str:
    """Upload rows and return the ARN of the version that they train."""
    draw = random.Random(seed)  # noqa: S311
    values = [draw.uniform(0, 100) for _ in range(count)]
    text = "\n".join(["x,y", *(f"{x:.3f},{int(x > 50)}" for x in values)]) + "\n"
    known = waiting.run_ids(target, PIPELINE)
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / f"part-{seed}.csv").write_text(text)
        project.upload(target, PIPELINE, [path])
    run_id = waiting.new_run(target, PIPELINE, known)
    run = waiting.run_end(target, PIPELINE, run_id, lambda _doing: None)
    if run["status"] != "registered":
        raise SystemExit(f"{run_id} ended as {run['status']}: {run.get('reasons')}")
    return str(run["model_package_arn"])


def approve(target: Target, arn: str) -> None:
    known = waiting.release_ids(target, PIPELINE)
    target.call("sagemaker", "update_model_package", ModelPackageArn=arn, ModelApprovalStatus="Approved")
    released(waiting.release_end(target, PIPELINE, known, lambda _doing: None))


def released(release: dict[str, Any]) -> dict[str, Any]:
    """Return a release that succeeded; ends the benchmark for any other."""
    if release["status"] != "released":
        raise SystemExit(f"{release['release_id']} ended as {release['status']}: {release.get('reasons')}")
    return release


def trial(target: Target, arn: str) -> Trial:
    """Release a version again, let its alarm fire, and take the rollback apart."""
    (live,) = stages.stages(target.cloud, PIPELINE)
    if live["live_package_arn"] != arn:
        release_again(target, arn)
    rollback, fired = alarm(target)
    released(rollback)
    answer = target.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint_name(target), ContentType="application/json", Body=REQUEST
    )
    if json.loads(answer["Body"].read())["model_version"] != "1":
        raise SystemExit("the version before does not serve")
    return taken_apart(target, rollback, fired)


def release_again(target: Target, arn: str) -> None:
    command = {"package_arn": arn, "stages": [STAGE], "reason": "a drill"}
    again = stage_releases.start_release(target, PIPELINE, int(arn.rpartition("/")[2]), command)
    released(waiting.this_release_end(target, PIPELINE, again))


def endpoint_name(target: Target) -> str:
    (stage,) = stages.stages(target.cloud, PIPELINE)
    return str(stage["endpoint_name"])


def alarm(target: Target) -> tuple[dict[str, Any], list[float]]:
    """Set the alarm off until its rollback begins: CloudWatch's next evaluation ends it.

    Returns the rollback, and the times at which the alarm was set off.
    """
    (name, *_) = [
        each["alarm"] for each in stages.alarms(target.cloud, PIPELINE, STAGE, endpoint_name(target))
    ]
    known, fired = waiting.release_ids(target, PIPELINE), list[float]()

    def look() -> bool | None:
        fired.append(time.time())
        target.call(
            "cloudwatch", "set_alarm_state", AlarmName=name, StateValue="ALARM", StateReason="a drill"
        )
        return True if waiting.release_ids(target, PIPELINE) - known else None

    waiting.until(look, timeout_s=60, what="the rollback to begin", poll_s=0.3)
    return waiting.release_end(target, PIPELINE, known, lambda _doing: None), fired


def reactions(target: Target, since: float) -> list[tuple[float, float]]:
    """Return when calls of react_to_alarm began and ended, by the platform's lines in its log."""
    pages = (
        target.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=log_streams.function_group(target, "react_to_alarm"), startTime=int(since * 1000)
        )
    )
    at: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (event for page in pages for event in page["events"]):
        if found := CALL.match(line["message"]):
            at[found["request_id"]][found["what"]] = line["timestamp"] / 1000
    return [(call["START"], call["END"]) for call in at.values() if call.keys() == {"START", "END"}]


def taken_apart(target: Target, rollback: dict[str, Any], fired: Sequence[float]) -> Trial:
    """Read the seconds of each part off the function's log and the execution's history."""
    execution = ended_execution(target, rollback["execution_arn"])
    began, ended = execution["startDate"].timestamp(), execution["stopDate"].timestamp()
    entered, submitted, changed = deployment(target, rollback["execution_arn"])
    # Of several calls one started the rollback, the others found it under way.
    calling = waiting.until(
        lambda: [call for call in reactions(target, fired[0]) if call[0] <= began <= call[1]] or None,
        timeout_s=30,
        what="the lines of react_to_alarm in its log",
    )
    reacted = min(start for start, _ in calling)
    fired_at = max(at for at in fired if at <= reacted)
    return Trial(
        event=reacted - fired_at,
        react=began - reacted,
        plan=entered - began,
        request=submitted - entered,
        change=changed - submitted,
        record=ended - changed,
    )


def deployment(target: Target, arn: str) -> tuple[float, float, float]:
    """Return when DeployModel began, had asked for the change of the endpoint, and had its answer."""
    history = target.call("stepfunctions", "get_execution_history", executionArn=arn, maxResults=1000)
    events = itertools.dropwhile(
        lambda event: event.get("stateEnteredEventDetails", {}).get("name") != "DeployModel",
        history["events"],
    )
    at: dict[str, float] = {}
    for event in events:
        at.setdefault(event["type"], event["timestamp"].timestamp())
    return at["TaskStateEntered"], at["TaskSubmitted"], at["TaskSucceeded"]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def figures(trials: Sequence[Trial]) -> list[Figure]:
    def median(name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in trials))

    whole = [each.restored for each in trials]
    restored = statistics.median(whole)
    parts = {
        "of it ours": "ours",
        "  react_to_alarm": "react",
        "  plan_release": "plan",
        "  deploy_model": "request",
        "of it the platform's": "platform",
        "  the event": "event",
        "  the change of the endpoint": "change",
    }
    return [
        Figure("alarm to restored, median", restored, "s"),
        Figure("alarm to restored, p95", percentile(whole, 0.95), "s", restored, "s median"),
        *(Figure(name, median(part), "s", restored, "s in all") for name, part in parts.items()),
        Figure("restored to recorded (smoke test, promotion)", median("record"), "s"),
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=20, help="rollbacks to measure (with --quick 5)")


def main() -> None:
    options = arguments(__doc__ or "", add_options)
    count = min(options.trials, 5) if options.quick else options.trials
    with tempfile.TemporaryDirectory() as folder, deployed_stack(Path(folder)) as target:
        project.push(target, PROJECT)
        first, second = (train(target, rows, seed) for seed, rows in enumerate((100, 150)))
        for arn in (first, second):
            approve(target, arn)
        trials = [trial(target, second) for _ in range(count)]
    report(f"Rollback by an alarm on the local cloud, {count} trials", figures(trials), options.json, NOTES)


if __name__ == "__main__":
    main()
