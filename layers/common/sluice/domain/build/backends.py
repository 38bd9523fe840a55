"""Choose where a job runs: on Lambda, in seconds, where it fits there, else on SageMaker; and say why."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from sluice.domain import wording
from sluice.domain.lambda_limits import DISK_MAX_BYTES, MEMORY_MAX_MB, TIMEOUT_MAX_S
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Backend
    from sluice.domain.config.models import Compute

# Of the functions that run jobs, beside the stack's largest: one vCPU; the most that every account may have.
SIZES_MB = (1769, 3008)
# A job is told to end so long before Lambda ends it, to upload what it has.
RUNTIME_S = 880
# The interpreter and a framework, imported.
_BASE_MB = 600
# Data in memory, as a data frame and in some copies, are so many times as large as in a file.
_GROWTH = 8
# What a script writes beside the data that it reads.
_COPIES_ON_DISK = 3
# A peak of the last run leaves so much to spare.
_SPARE = 1.3
_MB = 2**20
# Instances with at most 10 GB and no more than Lambda's six vCPUs.
_SMALL = re.compile(r"ml\.(t\d\w*\.(medium|large)|m\d\w*\.large|c\d\w*\.(large|xlarge))")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a step before its job: sizes, and how it went the last time."""

    data_bytes: int = 0
    # The environment's unpacked size; a problem says why there is none.
    environment_bytes: int = 0
    environment_problem: str | None = None
    # Of the step's last job on Lambda: its greatest memory, and which of Lambda's limits ended it.
    peak_memory_mb: int | None = None
    # How large the data were then.
    peak_data_bytes: int | None = None
    limit_reached: str | None = None
    # Of the stack's largest function for jobs (LargeJobMemoryMB).
    largest_mb: int = MEMORY_MAX_MB


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a job runs; the memory of its function, 0 on SageMaker; the reason in words."""

    backend: Backend
    memory_mb: int
    reason: str


def choose(compute: Compute, facts: Facts) -> Choice:
    """Choose the backend of a job. Whoever names one gets it, and the reason says so."""
    if compute.backend == "sagemaker":
        return Choice("sagemaker", 0, "sagemaker: pipeline.yaml says so")
    size = _size_mb(compute, facts)
    if compute.backend == "lambda":
        return Choice("lambda", size or facts.largest_mb, "lambda: pipeline.yaml says so")
    obstacle = _obstacle(compute, facts)
    if obstacle or size is None:
        return Choice("sagemaker", 0, f"sagemaker: {obstacle or _too_large(compute, facts)}")
    limit_s = min(compute.max_runtime_s or RUNTIME_S, RUNTIME_S)
    return Choice(
        "lambda", size, f"lambda: {wording.size(facts.data_bytes)} of data, at most {_span(limit_s)}"
    )


def _obstacle(compute: Compute, facts: Facts) -> str | None:
    """Say what keeps a job from Lambda, apart from memory; None if nothing does."""
    if needed := compute.needs_sagemaker:
        return needed
    if not _SMALL.fullmatch(compute.instance_type):
        return f"{compute.instance_type} is more than Lambda has"
    if compute.max_runtime_s and compute.max_runtime_s > TIMEOUT_MAX_S:
        return f"max_runtime_s is {compute.max_runtime_s}, Lambda has 15 minutes"
    if facts.environment_problem:
        return facts.environment_problem
    if facts.limit_reached:
        return f"a run before reached Lambda's limit of {facts.limit_reached}"
    disk = facts.environment_bytes + _COPIES_ON_DISK * facts.data_bytes
    if disk > DISK_MAX_BYTES:
        wanted, there = wording.size(disk), wording.size(DISK_MAX_BYTES)
        return f"{wanted} of packages, data and output, Lambda has a disk of {there}"
    return None


def _size_mb(compute: Compute, facts: Facts) -> int | None:
    """Return the least size of the stack that suffices; None if none does."""
    needed = _needed_mb(compute, facts)
    sizes = [size for size in (*SIZES_MB, facts.largest_mb) if size <= facts.largest_mb]
    return next((size for size in sizes if size >= needed), None)


def _needed_mb(compute: Compute, facts: Facts) -> float:
    """Return what is declared, else what was measured, else an estimate from the data."""
    if compute.memory_mb:
        return compute.memory_mb
    if facts.peak_memory_mb:
        before = facts.data_bytes if facts.peak_data_bytes is None else facts.peak_data_bytes
        return (facts.peak_memory_mb + _held(max(0, facts.data_bytes - before))) * _SPARE
    return _BASE_MB + _held(facts.data_bytes)


def _held(data_bytes: int) -> float:
    """Return the memory, in MB, that data may take."""
    return _GROWTH * data_bytes / _MB


def _too_large(compute: Compute, facts: Facts) -> str:
    needed, data = math.ceil(_needed_mb(compute, facts)), f"{wording.size(facts.data_bytes)} of data"
    if compute.memory_mb:
        wanted = f"memory_mb is {compute.memory_mb}"
    elif facts.peak_memory_mb:
        wanted = f"a run before held {facts.peak_memory_mb:,} MB, so with {data} it may need {needed:,} MB"
    else:
        wanted = f"{data} may need {needed:,} MB of memory"
    if needed > MEMORY_MAX_MB:
        return f"{wanted}, Lambda has {MEMORY_MAX_MB:,} MB"
    return f"{wanted}, the stack's LargeJobMemoryMB is {facts.largest_mb}"


def _span(seconds: int) -> str:
    return f"{round(seconds / 60)} minutes" if seconds >= 120 else f"{seconds} s"
