"""Price a run by list prices (`domain/prices.py`): its jobs by their recorded usage, and the rest of AWS.

A job's usage is the mapping `usage` of its step: `billed_s` (seconds), for Lambda `memory_mb` and
`architecture`, for SageMaker `instance_type`, `instance_count` and `volume_gb`. What is not known costs None,
which makes the total None: never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sluice.domain import names, prices
from sluice.domain.build import candidates, reproduction
from sluice.domain.build.champions import OWN_ROLE
from sluice.domain.nearest import hint
from sluice.lazy import dataclass

# In place of a backend, of a step that used the outputs of another.
CACHE = "cache"
# The row of a step's packages begins so; later runs use these packages too.
PACKAGES_OF = "packages of "
_MB_PER_GB = 1024
_BYTES_PER_GB = 1024**3
# The row of the invocations that read data and did not judge them, as there are more than one reads.
READING = "validate, before its last invocation"
# The month that prices of storage are divided by: 730 hours.
_MONTH_S = 730 * 3600
# Lambda's free temporary storage, and what the functions that run jobs have.
_FREE_STORAGE_MB = 512
JOB_STORAGE_MB = 10240
# Estimates of what is not measured: what an invocation of one of the stack's own functions takes, and what it
# reads from and writes to the catalog. All these together are a tenth of a cent for a run.
_FUNCTION_GB_S = 0.25
_READS, _WRITES = 6, 4
# Invocations for each job (start_job, finish_job and their retries by events) and for a run as a whole.
_INVOCATIONS_OF_A_JOB, _INVOCATIONS_OF_A_RUN = 4, 8
# Either of these tells that a run was judged.
_JUDGED = {names.GATES, reproduction.STEP}


# What a run's cost depends on, beside its steps.
ATTRIBUTES = ("status", "validated_at", "packaged_at", "reading_usage")


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a step's job used and costs; `usd` is None if that is unknown, and `unknown` says why."""

    step: str
    backend: str
    usd: float | None
    billed_s: float | None = None
    gb_s: float | None = None
    instance_s: float | None = None
    instance_type: str | None = None
    unknown: str | None = None

    @property
    def used(self) -> str:
        """What it used, for people."""
        if self.gb_s is not None:
            return f"{self.gb_s:,.1f} GB-s"
        if self.instance_s is not None:
            return f"{self.instance_s:,.0f} s of {self.instance_type}"
        return self.unknown or ""


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run costs: its jobs, the state machine, the stack's functions and catalog (estimated)."""

    steps: tuple[StepCost, ...]
    transitions: int
    transitions_usd: float
    overhead_usd: float
    storage_bytes: int = 0

    @property
    def known_usd(self) -> float:
        """The sum of what is known."""
        known = sum(step.usd for step in self.steps if step.usd is not None)
        return known + self.transitions_usd + self.overhead_usd

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why the total is unknown, for each step without a price; empty if it is known."""
        return tuple(f"{step.step}: {step.unknown}" for step in self.steps if step.usd is None)

    @property
    def is_reusing(self) -> bool:
        """Whether a step used the outputs of another run, so that this one cost less than runs do."""
        return any(step.backend == CACHE for step in self.steps)

    @property
    def packages_usd(self) -> float:
        """What building packages cost, which the next run does not build again."""
        return sum(step.usd or 0.0 for step in self.steps if step.step.startswith(PACKAGES_OF))

    @property
    def usd(self) -> float | None:
        return None if self.unknown else self.known_usd

    @property
    def storage_usd_month(self) -> float:
        """What keeping the run's artifacts costs each month; it is no part of the total."""
        return self.storage_bytes / _BYTES_PER_GB * prices.S3_GB_MONTH


def of_step(step: str, backend: str, usage: Mapping[str, Any] | None) -> StepCost:
    """Price a job by its usage."""
    given = dict(usage or {})
    billed_s = given.get("billed_s")
    if billed_s is None:
        return StepCost(step, backend, None, unknown="how long it ran was not recorded")
    priced = _on_lambda if backend == "lambda" else _on_sagemaker
    return priced(step, float(billed_s), given)


def _on_lambda(step: str, billed_s: float, usage: Mapping[str, Any]) -> StepCost:
    architecture = str(usage.get("architecture") or "x86_64")
    rate = prices.LAMBDA_GB_S.get(architecture)
    if "memory_mb" not in usage or rate is None:
        why = "its memory was not recorded" if rate else f"no price of Lambda on {architecture!r}"
        return StepCost(step, "lambda", None, billed_s=billed_s, unknown=why)
    gb_s = billed_s * float(usage["memory_mb"]) / _MB_PER_GB
    extra_mb = max(0.0, float(usage.get("storage_mb", JOB_STORAGE_MB)) - _FREE_STORAGE_MB)
    storage = billed_s * extra_mb / _MB_PER_GB * prices.LAMBDA_STORAGE_GB_S
    usd = gb_s * rate + storage + prices.LAMBDA_REQUEST * int(usage.get("requests") or 1)
    return StepCost(step, "lambda", usd, billed_s=billed_s, gb_s=gb_s)


def _on_sagemaker(step: str, billed_s: float, usage: Mapping[str, Any]) -> StepCost:
    instance_type = str(usage.get("instance_type") or "an instance type that was not recorded")
    instance_s = billed_s * int(usage.get("instance_count") or 1)
    hour = prices.INSTANCE_HOUR.get(instance_type)
    usd = None
    if hour is not None:
        disk = float(usage.get("volume_gb") or 0) * prices.VOLUME_GB_MONTH / _MONTH_S
        usd = instance_s * (hour / 3600 + disk)
    return StepCost(
        step,
        "sagemaker",
        usd,
        billed_s=billed_s,
        instance_s=instance_s,
        instance_type=instance_type,
        unknown=no_price(instance_type) if hour is None else None,
    )


def no_price(instance_type: str) -> str:
    """Say that the table lacks an instance type, and which it may have meant."""
    return f"no list price of {instance_type}{hint(instance_type, prices.INSTANCE_HOUR)}"


def of_run(steps: Iterable[Mapping[str, Any]], run: Mapping[str, Any], storage_bytes: int = 0) -> RunCost:
    """Price a run by its steps' and its own attributes in the catalog; a step without a job is free.

    Of `run` it reads ATTRIBUTES.
    """
    listed = list(steps)
    jobs = [step for step in listed if step.get("job_name") or step.get("cached")]
    transitions = count_transitions([str(step["step"]) for step in listed], run, _failed(jobs))
    used = run.get("reading_usage")
    reading = () if used is None else (of_step(READING, "lambda", used),)
    return RunCost(
        steps=(*reading, *(cost for step in jobs for cost in (*_packages(step), *of_item(step)))),
        transitions=transitions,
        transitions_usd=transitions * prices.STATE_TRANSITION,
        overhead_usd=_overhead(len(jobs)),
        storage_bytes=storage_bytes,
    )


def of_item(step: Mapping[str, Any]) -> tuple[StepCost, ...]:
    """Price a step's job and, if it was moved from Lambda, what it used there.

    `step` has its attributes in the catalog, and its name as `step`.
    """
    return (*_before_its_move(step), _priced(step))


def usd_of_item(step: Mapping[str, Any]) -> float | None:
    """Return what a step's job costs in all; None if a part of that is unknown."""
    known = [cost.usd for cost in of_item(step)]
    return None if None in known else math.fsum(usd or 0 for usd in known)


def _packages(step: Mapping[str, Any]) -> tuple[StepCost, ...]:
    """Price the building of the packages that the step's job was the first to have."""
    used = step.get("packages_usage")
    return () if used is None else (of_step(f"{PACKAGES_OF}{step['step']}", "lambda", used),)


def _before_its_move(step: Mapping[str, Any]) -> tuple[StepCost, ...]:
    """Price what a job used on Lambda before a limit moved it to SageMaker."""
    used = step.get("lambda_usage")
    return () if used is None else (of_step(f"{step['step']}, on Lambda first", "lambda", used),)


def _priced(step: Mapping[str, Any]) -> StepCost:
    name, backend = str(step["step"]), str(step.get("backend") or "sagemaker")
    if step.get("cached"):
        return StepCost(name, CACHE, 0.0, billed_s=0.0)
    if step.get("kind") == "pipeline_execution":
        # It is free: its jobs are not, which are steps of their own once it has ended.
        is_over = bool(step.get("ended_at"))
        unknown = None if is_over else "what its jobs used is known once it has ended"
        return StepCost(name, backend, 0.0 if is_over else None, billed_s=0.0, unknown=unknown)
    if step.get("job_arn") is None and step.get("ended_at"):
        # It ended before its job was created.
        return StepCost(name, backend, 0.0, billed_s=0.0)
    return of_step(name, backend, step.get("usage"))


def _failed(jobs: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(step["step"]) for step in jobs if step.get("status") in ("Failed", "Stopped")}


def _overhead(jobs: int) -> float:
    """Estimate the stack's own functions, catalog and events of a run."""
    invocations = _INVOCATIONS_OF_A_RUN + _INVOCATIONS_OF_A_JOB * jobs
    each = prices.LAMBDA_REQUEST + _FUNCTION_GB_S * prices.LAMBDA_GB_S["x86_64"]
    catalog = _READS * prices.DYNAMODB_READ + _WRITES * prices.DYNAMODB_WRITE
    return invocations * (each + catalog + prices.CUSTOM_EVENT)


def count_transitions(steps: Sequence[str], run: Mapping[str, Any], failed: set[str]) -> int:
    """Count the states of build_model that a run entered, by what it left behind.

    Retries are not counted. `run` has ATTRIBUTES, as in the catalog.
    """
    status = run.get("status")
    trained = [step for step in steps if candidates.is_candidate(step)]
    evaluated = [step for step in steps if step.startswith(names.evaluate_step(""))]
    if names.PIPELINE in steps:
        # RunPipeline, and if that went well SelectCandidate and the choice after it.
        evaluated, of_pipeline = [], 1 if names.PIPELINE in failed else 3
    else:
        of_pipeline = 0
    # SnapshotDataset, IsDatasetNew.
    count = 2 + of_pipeline
    if run.get("validated_at") or steps:
        count += 2
    # ValidateData and IsDataValid for each invocation that did not read all.
    count += 2 * int((run.get("reading_usage") or {}).get("requests", 0))
    # BuildEnvironment.
    count += 1 if run.get("packaged_at") else 0
    if names.PREPARE in steps:
        count += 1
    if trained:
        # Each candidate, and KeepFailure of each that failed. Each rung has the map, SelectCandidate, the
        # choice after it and, but for the last one, PromoteCandidates.
        rungs = len({candidates.place(step)[1] for step in trained})
        count += len(trained) + len(failed & {*trained}) + 4 * rungs - 2
    if evaluated:
        # The choice after the last rung, and the map.
        count += 2 + len(evaluated) + sum(_after_failure(step, evaluated) for step in failed & {*evaluated})
    if _JUDGED & {*steps}:
        # CheckGates, which compares a reproduction, and the choice after it.
        count += 2
    if "register" in steps:
        count += 1
    # What names the outcome and FinishRun, or FinishFailedRun and RunFailed.
    return count + (2 if status != "running" else 0)


def _after_failure(step: str, evaluated: Sequence[str]) -> int:
    """Count IsThereAnotherWay and the state that it leads to, unless that is another step."""
    own = names.evaluate_step(OWN_ROLE)
    if step == own:
        return 1
    return 1 if own in evaluated and step.endswith("champion") else 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the next run will cost by former ones; the amounts are None without a run of known cost."""

    runs: int
    usd: float | None
    least_usd: float | None
    most_usd: float | None


def estimate(former: Iterable[float | None]) -> Estimate:
    """Estimate a run's cost as the mean of former ones, whose cost may be unknown."""
    known = [usd for usd in former if usd is not None]
    if not known:
        return Estimate(0, None, None, None)
    return Estimate(len(known), math.fsum(known) / len(known), min(known), max(known))


def of_planned(steps: Mapping[str, Estimate]) -> Estimate:
    """Estimate the cost of a run of these steps, each estimated from former ones of its kind."""
    priced = [(each.usd, each.least_usd, each.most_usd) for each in steps.values() if each.usd is not None]
    if len(priced) < len(steps):
        return Estimate(0, None, None, None)
    run = {"status": "registered"}
    own = count_transitions([*steps, "gates", "register"], run, set()) * prices.STATE_TRANSITION
    usd, least, most = (own + _overhead(len(steps)) + math.fsum(each) for each in zip(*priced, strict=True))
    return Estimate(min(each.runs for each in steps.values()), usd, least, most)
