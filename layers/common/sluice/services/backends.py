"""Find what runs the jobs of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Backend
    from sluice.ports import Cloud, RunningJobs


def jobs_on(cloud: Cloud, backend: Backend) -> RunningJobs:
    """Return the jobs of a backend, to describe and to stop them."""
    if backend == "pipelines":
        return cloud.pipelines
    return cloud.lambda_jobs if backend == "lambda" else cloud.jobs
