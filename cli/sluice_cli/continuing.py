"""Tell what a restarted local cloud continues with."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.domain import wording
from sluice_cli.moments import shown
from sluice_cli.output import escape, here
from sluice_cli.project import EXAMPLES
from sluice_cli.target import REPOSITORY, Target
from sluice_local.sagemaker.containers import images

_ENDPOINTS_TIMEOUT_S = 120.0


def wait_for_endpoints(target: Target) -> None:
    """Wait until each endpoint of the last session serves again or has failed to."""
    deadline = time.monotonic() + _ENDPOINTS_TIMEOUT_S
    while time.monotonic() < deadline and target.pages(
        "sagemaker", "list_endpoints", "Endpoints", StatusEquals="SystemUpdating"
    ):
        time.sleep(0.2)


def lines(continued: Mapping[str, Any] | None) -> list[str]:
    """Tell what continues, what was interrupted and what a crash damaged; empty for a new cloud."""
    if continued is None:
        return []
    if stopped_at := continued["stopped_at"]:
        said = [f"it continues as it was when it was stopped, {shown(stopped_at)} UTC"]
    else:
        said = [f"it continues as it was when it was last saved, {shown(continued['saved_at'])} UTC"]
    said += _interrupted("run or release", continued["executions"])
    said += _interrupted("job", continued["jobs"])
    said += _interrupted("pipeline execution", continued["pipeline_executions"])
    if endpoints := continued["endpoints"]:
        said.append(f"{_count('endpoint', endpoints)} started again: {', '.join(endpoints)}")
    return [*said, *(f"[yellow]left out[/]: {escape(sentence)}" for sentence in continued["left_out"])]


def about_images() -> str:
    """Tell how the Python of jobs and models differs from SageMaker's; empty if it does not."""
    if not (others := images.other_pythons()):
        return ""
    here_python = f"{sys.version_info.major}.{sys.version_info.minor}"
    listed = ", ".join(f"{python} for {image}" for image, python in others.items())
    more = here(REPOSITORY / "docs/local-cloud.md")
    return f"jobs and models run on Python {here_python} here, on SageMaker on {listed}: see {more}"


def next_step(pipelines: Sequence[Mapping[str, Any]], continued: Mapping[str, Any] | None) -> str:
    """Tell what to type next, by the catalog's items of the pipelines that are there."""
    fresh = "`sluice up --fresh` starts anew, " if continued else ""
    ends = f"{fresh}`sluice down` ends it"
    if not pipelines:
        example = here(EXAMPLES / "reviews")
        return f"next: `sluice push {example}`, or `sluice init my-model`; {ends}"
    if not any(item.get("build_seq") for item in pipelines):
        return f"next: `sluice upload {pipelines[0]['gsi1sk']} FILE`: the model trains on it; {ends}"
    many = wording.count(len(pipelines), "pipeline")
    return f"next: `sluice status` shows what {many} {'does' if len(pipelines) == 1 else 'do'}; {ends}"


def _interrupted(noun: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"{_count(noun, names)} under way had ended with the cloud, and failed: {', '.join(names)}"]


def _count(noun: str, names: Sequence[str]) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"
