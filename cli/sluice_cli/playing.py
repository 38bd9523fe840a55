"""What the acts of the demo share: the stack they play on, and what they have learnt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.domain import names
from sluice_cli.errors import CommandError
from sluice_cli.progress import Step, Steps
from sluice_cli.target import Target

STAGE = "production"


@dataclass(frozen=True)
class Rollback:
    """A rollback by an alarm, from the first fault until the version before answered again."""

    failed: int | None
    restored: int | None
    seconds: float


class FellShortError(CommandError):
    """The loop did not do what the demo expects."""


@dataclass
class Demo:
    """What the demo has learnt so far."""

    target: Target
    steps: Steps
    # The folder that is pushed: the example, or a copy of it that the acts change.
    project: Path
    is_short: bool = False
    pipeline: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    live_version: int | None = None
    previous_version: int | None = None
    rollback: Rollback | None = None
    rejected: list[dict[str, Any]] = field(default_factory=list)
    data_report: str | None = None
    backend: dict[str, str] = field(default_factory=dict)
    candidates: list[dict[str, Any]] = field(default_factory=list)
    cost_usd: dict[str, float | None] = field(default_factory=dict)
    gate_refused: dict[str, Any] | None = None
    manifest_verified: bool = False
    canary_caught: bool = False
    rejection_rolled_back: bool = False
    drift_retrained: bool = False
    decay_found: bool = False
    # What customers will say, by inference id and row.
    labels: dict[tuple[str, int], str] = field(default_factory=dict)
    # What the last act has to show below its line.
    shown: Callable[[], None] | None = None

    @property
    def endpoint_name(self) -> str:
        return names.endpoint_name(self.target.stack, self.pipeline, STAGE)

    def after(self, show: Callable[[], None]) -> None:
        """Show more below the line of the act that is being played."""
        self.shown = show

    def note(self, run: dict[str, Any]) -> None:
        """Keep a run for the report."""
        told = ("run_id", "status", "dataset_version", "model_package_arn", "reasons")
        self.runs.append({name: run[name] for name in told if name in run})

    def expect(self, holds: bool, what: str) -> None:
        """Fail the demo unless the expectation holds."""
        if not holds:
            raise FellShortError(what)

    def predict(self, reviews: list[str], **options: str) -> dict[str, Any]:
        """Ask the live endpoint about some reviews; `options` are InvokeEndpoint's."""
        answer = self.target.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint_name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"reviews": reviews}),
            **options,
        )
        prediction: dict[str, Any] = json.loads(answer["Body"].read())
        return prediction


@contextmanager
def act(demo: Demo, name: str) -> Iterator[Step]:
    """Play an act, then show what it has to show."""
    demo.shown = None
    with demo.steps.step(name) as step:
        yield step
    if demo.shown is not None and not demo.steps.console.quiet:
        demo.shown()
