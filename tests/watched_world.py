"""A model that was released and is watched, over the fakes: its traffic, its labels, its windows."""

# ruff: noqa: S311 - simulations

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes
from monitored import record, truth
from release_world import ENDPOINT, PIPELINE, PIPELINE_YAML, Invoke, World
from sluice.catalog import keys
from sluice.catalog.records.monitoring import LabelWindow, Watch, Window
from sluice.domain import config
from sluice.domain.times import from_iso
from sluice.quality import run
from sluice.quality.judging import Baseline, Terms
from sluice.quality.validation import DataFile

DATASET = "ab" * 32
STAGE = "production"
MONITOR = """\
monitor:
  every_s: 3600
  label_delay: 2d
  quality: {window: 1d, max_loss: 0.1, min_labels: 50, slices: [kind]}
  retrain_on: [drift, quality]
"""
SCHEMA = "schema: {x: {type: number, required: true}, kind: {type: string}, y: {type: integer}}"
YAML = PIPELINE_YAML.replace("schema: {y: {type: integer}}", SCHEMA)
RUN = "reviews-00001"


@dataclass
class Watching:
    """One released model; rows are (x, kind, label), and the model answers whether x is above 0.5."""

    cloud: fakes.Cloud
    invoke: Invoke
    folder: Path
    monitor: str = MONITOR
    project: str = YAML
    rng: random.Random = field(default_factory=lambda: random.Random(5))
    asked: int = 0

    def __post_init__(self) -> None:
        self.world = World(self.cloud, self.invoke, self.project + self.monitor)
        arn = self.world.register(1)
        self._trained()
        self.release_id = self.world.approve(arn)
        self.cloud.bus.announced.clear()

    def _trained(self) -> None:
        """What a run leaves: the profile of its data, and predictions of its hold-out."""
        rows = [self.row() for _ in range(1000)]
        (path := self.folder / "data.csv").write_text(
            "x,kind,y\n" + "".join(f"{x},{kind},{y}\n" for x, kind, y in rows)
        )
        data = config.load(self.project).data
        limits = run.Limits(512, 60.0, self.folder)
        terms = Terms(data, Baseline(), from_iso(self.cloud.now()))
        outcome = run.validate(run.Work([DataFile("data.csv", path)], terms, limits), title="data")
        places = self.world.locations
        self.cloud.objects.write(
            places.dataset_document(DATASET, "profile.json"), outcome.documents["profile.json"]
        )
        self.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"dataset_version": DATASET})
        lines = (f"r{i},{y},{int(x > 0.5)},{kind}\n" for i, (x, kind, y) in enumerate(rows[:500]))
        predictions = "id,label,prediction,kind\n" + "".join(lines)
        self.cloud.objects.write(
            f"{places.evaluation(RUN, 'candidate')}/predictions.csv", predictions.encode()
        )

    def row(self, shift: float = 0.0, accuracy: float = 0.9) -> tuple[float, str, int]:
        """A row whose label is what the model answers, so often."""
        x = round(self.rng.random() + shift, 3)
        label = int(x > 0.5) if self.rng.random() < accuracy else 1 - int(x > 0.5)
        return x, self.rng.choice("ab"), label

    # ---------------------------------------------------------------------------- what happens outside

    def ask(self, count: int, **drawn: float) -> dict[str, int]:
        """Ask the endpoint, which captures that now; returns the labels to come, by inference id."""
        lines, labels = [], {}
        for _ in range(count):
            self.asked += 1
            x, kind, label = self.row(**drawn)
            identity = f"id-{self.asked}"
            labels[identity] = label
            lines.append(record({"x": x, "kind": kind}, [int(x > 0.5)], identity, at=self.cloud.now()))
        self.capture(lines)
        return labels

    def capture(self, lines: Iterable[str]) -> None:
        at = from_iso(self.cloud.now())
        self.cloud.objects.at = self.cloud.now()
        key = f"capture/{PIPELINE}/{ENDPOINT}/AllTraffic/{at:%Y/%m/%d/%H}/{self.asked}.jsonl"
        self.cloud.objects.put(fakes.ARTIFACT_BUCKET, key, "".join(f"{line}\n" for line in lines).encode())

    def upload(self, labels: Mapping[str, int], name: str = "labels.jsonl", *, tell: bool = True) -> Any:
        data = truth((identity, str(label)) for identity, label in labels.items())
        self.cloud.objects.at = self.cloud.now()
        key = f"ground-truth/{PIPELINE}/{name}"
        version = self.cloud.objects.put(fakes.DATA_BUCKET, key, data)
        return self.tell_labels(key, version) if tell else None

    def tell_labels(self, key: str, version: str) -> Any:
        detail = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": version}}
        return self.invoke("monitor_endpoint", {"detail": detail})

    def later(self, **delta: float) -> None:
        self.world.later(**delta)

    def watch(self, **detail: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.invoke(
            "monitor_endpoint", {"detail": {"pipeline": PIPELINE, **detail}}
        )["judged"]
        return found

    # ---------------------------------------------------------------------------------- what is seen

    def windows(self) -> list[Window]:
        found = self.cloud.catalog.query(keys.partition(PIPELINE), keys.windows_of(STAGE))
        return [Window.of(item) for item in found]

    def label_windows(self) -> list[LabelWindow]:
        found = self.cloud.catalog.query(keys.partition(PIPELINE), keys.label_windows_of(STAGE))
        return [LabelWindow.of(item) for item in found]

    def progress(self) -> Watch:
        return Watch.of(self.cloud.catalog.get(keys.monitor_key(PIPELINE, STAGE)) or {})

    def told(self) -> list[tuple[str, str, bool]]:
        return [
            (detail["judged"], detail["status"], detail["is_estimate"])
            for kind, detail in self.cloud.bus.announced
            if kind == "MonitoringJudged"
        ]

    def measured(self) -> list[Any]:
        """The metrics of what is watched: the release before it has some of its own."""
        return [each for each in self.cloud.metrics.values if "Stage" in each[1]]

    def retrain_cause(self) -> str | None:
        return (self.cloud.catalog.get(keys.pipeline_key(PIPELINE)) or {}).get("retrain_cause")
