"""Compare runs: what differs between them comes first."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Run, Step
from sluice.domain import names
from sluice.domain.build import costs, run_manifest, usage
from sluice.domain.failures import MissingError
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.build import environments
from sluice.services.views import candidates, models

# In this order subjects are shown.
SUBJECTS = ("outcome", "parameters", "data", "code", "packages", "metrics", "gates", "durations", "cost")
_OF_ALL_PACKAGES = ("Python", "how many")
Facts = dict[tuple[str, str], Any]


def compare(cloud: Cloud, runs: Sequence[Run]) -> dict[str, Any]:
    """Return what is different and what is the same, each a list of `{"subject", "what", "values"}`.

    Values are in the order of the runs; None where a run has no such thing. Packages that are the same are
    not listed one by one; neither are any if those of a run are not known.
    """
    facts = [_facts(cloud, run) for run in runs]
    told = list(dict.fromkeys(what for each in facts for what, value in each.items() if value is not None))
    told.sort(key=lambda what: SUBJECTS.index(what[0]))
    rows: list[dict[str, Any]] = [
        {"subject": subject, "what": what, "values": [each.get((subject, what)) for each in facts]}
        for subject, what in told
    ]
    if not all(("packages", "how many") in each for each in facts):
        rows = [row for row in rows if not _is_package(row)]
    return {
        "runs": [run.run_id for run in runs],
        "different": [row for row in rows if _differs(row["values"])],
        "same": [row for row in rows if not (_differs(row["values"]) or _is_package(row))],
    }


def _is_package(row: Mapping[str, Any]) -> bool:
    return row["subject"] == "packages" and row["what"] not in _OF_ALL_PACKAGES


def _differs(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values[1:])


def _facts(cloud: Cloud, run: Run) -> Facts:
    steps = building.find_steps(cloud, run.run_id)
    return {
        ("outcome", "status"): run.status,
        ("outcome", "cause"): run.cause,
        ("outcome", "model"): models.model_name(cloud, run.pipeline, run.model_package_arn),
        **_parameters(cloud, run, steps),
        **_data(cloud, run),
        **_code(cloud, run),
        **_packages(cloud, run, steps),
        **_measured(steps),
        **_times(run, steps),
    }


def _parameters(cloud: Cloud, run: Run, steps: Sequence[Step]) -> Facts:
    """Return the arguments of prepare, and the hyperparameters of the chosen candidate, or what all share."""
    config = building.config_of(cloud, run)
    if config.build is not None:
        return {("parameters", name): value for name, value in config.build.parameters.items()}
    chosen = candidates.chosen_step(steps)
    trained = next((candidates.hyperparameters(step) for step in steps if step.step == chosen), None)
    hyperparameters = dict(config.train.hyperparameters) if trained is None else trained
    return {
        **{("parameters", f"prepare {name}"): value for name, value in config.prepare.parameters.items()},
        **{("parameters", f"train {name}"): value for name, value in hyperparameters.items()},
        ("parameters", "candidate"): chosen,
        ("parameters", "candidates trained"): sum(step.kind == "training_job" for step in steps),
    }


def _data(cloud: Cloud, run: Run) -> Facts:
    version = run.dataset_version
    item = cloud.catalog.get(keys.dataset_key(run.pipeline, version)) if version else None
    return {
        ("data", "version"): version,
        **{("data", name): (item or {}).get(name) for name in ("objects", "rows", "size_bytes")},
    }


def _code(cloud: Cloud, run: Run) -> Facts:
    item = cloud.catalog.get(keys.project_key(run.pipeline, run.project_version)) or {}
    framework = building.config_of(cloud, run).framework
    return {
        ("code", "project"): run.project_version,
        ("code", "commit"): (item.get("source") or {}).get("commit"),
        ("code", "framework"): None if framework is None else f"{framework.name} {framework.version}",
    }


def _packages(cloud: Cloud, run: Run, steps: Sequence[Step]) -> Facts:
    """Return what the chosen candidate was trained with.

    A registered run has a manifest that tells; of another it is known if the job ran on Lambda.
    """
    chosen = candidates.chosen_step(steps)
    known = _environments(cloud, run) or _on_lambda(cloud, [step for step in steps if step.step == chosen])
    known.sort(key=lambda each: chosen not in each["steps"])
    if not known or not known[0]["packages"]:
        return {}
    packages: dict[str, str] = known[0]["packages"]
    return {
        ("packages", "Python"): known[0]["python"],
        ("packages", "how many"): len(packages),
        **{("packages", name): version for name, version in packages.items()},
    }


def _environments(cloud: Cloud, run: Run) -> list[dict[str, Any]]:
    try:
        document = json.loads(building.read_manifest(cloud, run))
    except MissingError:
        return []
    found: list[dict[str, Any]] = document.get("environments", [])
    return found


def _on_lambda(cloud: Cloud, steps: Sequence[Step]) -> list[dict[str, Any]]:
    found = environments.with_packages(cloud, [step.item() for step in steps if step.environment])
    return [
        {
            "steps": [step.step for step in steps],
            "python": each.get("python"),
            "packages": run_manifest.packages(each.get("packages")),
        }
        for each in found
    ]


def _measured(steps: Sequence[Step]) -> Facts:
    """Return the chosen candidate's metrics, in training and on the hold-out, and the gates."""
    chosen = candidates.chosen_step(steps)
    found: Facts = {}
    for step in steps:
        if step.step in (names.evaluate_step("candidate"), chosen):
            where = "train" if step.step == chosen else "hold-out"
            found |= {("metrics", f"{where} {name}"): value for name, value in (step.metrics or {}).items()}
        if step.step == names.GATES:
            for gate in step.detail or ():
                found["gates", gate["gate"]] = "passed" if gate["passed"] else "failed"
    return found


def _times(run: Run, steps: Sequence[Step]) -> Facts:
    """Return how long the run and its jobs took; of candidates the chosen one, and all as if in turn.

    A pipeline of SageMaker has no candidates: its steps are told by their names.
    """
    chosen = candidates.chosen_step(steps) if not run.runs_pipeline else None
    trained = [
        usage.took_s(step.item()) for step in steps if step.kind == "training_job" and not run.runs_pipeline
    ]
    others = {
        "chosen candidate" if step.step == chosen else step.step: usage.took_s(step.item())
        for step in steps
        if step.job
    }
    priced = costs.of_run(
        [{**step.item(), "step": step.step} for step in steps],
        {name: getattr(run, name) for name in costs.ATTRIBUTES},
    )
    return {
        ("durations", "run"): usage.seconds(run.started_at, run.ended_at),
        ("durations", "all candidates"): math.fsum(each or 0 for each in trained) if trained else None,
        **{("durations", name): took for name, took in others.items() if not name.startswith(names.TRAIN)},
        ("cost", "usd"): priced.usd,
    }
