"""Measure the console's pages with many pipelines and a long past: reads, size and time.

.venv/bin/python benchmarks/console.py [--quick] [--json FILE]

The function's code answers, over a stack in memory whose catalog takes 4 ms for each request, like DynamoDB.
Each pipeline has a model that serves; one of them has all the runs and arrivals.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["POWERTOOLS_LOG_LEVEL"] = "CRITICAL"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import fakes
from build_world import PIPELINE, World
from conftest import LambdaContext, load_function
from figures import Figure, arguments, report
from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes.releases import note_release, start_release
from sluice.catalog.records.releases import Release
from sluice.console import requests
from sluice.console.answering import answer
from sluice.ports import Item
from sluice.services import releasing

REQUEST_S = 0.004
PIPELINES, RUNS, ARRIVALS = 100, 10_000, 100_000
QUICK = (20, 1_000, 10_000)
REPEATED, QUICK_REPEATED = 20, 5
BUSY = "p-000"
PATHS = {
    "home": "/",
    "pipeline": f"/pipelines/{BUSY}",
    "runs": f"/pipelines/{BUSY}/runs",
    "run": f"/runs/{BUSY}-00001",
    "data": f"/pipelines/{BUSY}/data",
    "models": f"/pipelines/{BUSY}/models",
    "model": f"/models/{BUSY}/1",
    "releases": f"/pipelines/{BUSY}/releases",
    "monitoring": f"/pipelines/{BUSY}/monitoring",
    "why": f"/pipelines/{BUSY}/why",
}


class Counted:
    """Requests of one page."""

    def __init__(self) -> None:
        self.gets = self.batches = self.queries = 0
        self._lock = threading.Lock()

    def one(self, kind: str) -> None:
        with self._lock:
            setattr(self, kind, getattr(self, kind) + 1)
        time.sleep(REQUEST_S)


class Catalog(fakes.FakeCatalog):
    """A catalog that is only read, sorted once."""

    def __init__(self, items: Mapping[tuple[str, str], Item]) -> None:
        self.items = dict(items)
        self.counted = Counted()
        self._sks: dict[str, list[str]] = {}
        self._listed: dict[str, list[Item]] = {}
        for pk, sk in sorted(self.items):
            self._sks.setdefault(pk, []).append(sk)
            item = self.items[pk, sk]
            if "gsi1pk" in item:
                self._listed.setdefault(item["gsi1pk"], []).append(item)

    def get(self, key: Mapping[str, str]) -> Item | None:
        self.counted.one("gets")
        item = self.items.get((key["pk"], key["sk"]))
        return dict(item) if item else None

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        self.counted.one("batches")
        found = (self.items.get((key["pk"], key["sk"])) for key in keys)
        return [dict(item) if item else None for item in found]

    def query(self, pk: str, prefix: str = "", **options: Any) -> list[Item]:
        self.counted.one("queries")
        sks, limit, after = self._sks.get(pk, []), options.get("limit"), options.get("after")
        first, last = options.get("between") or (prefix, prefix + "\U0010ffff")
        found = sks[bisect_left(sks, first) : bisect_right(sks, last)]
        if options.get("newest_first"):
            found = found[::-1]
        if after is not None:
            found = [sk for sk in found if (sk < after if options.get("newest_first") else sk > after)]
        return [dict(self.items[pk, sk]) for sk in found[:limit]]

    def listing(self, gsi1pk: str) -> list[Item]:
        self.counted.one("queries")
        return [dict(item) for item in self._listed.get(gsi1pk, [])]


def grown(pipelines: int, runs: int, arrivals: int) -> fakes.Cloud:
    """Copy one pipeline with a model that serves to many names, and give one of them a long past."""
    cloud = fakes.Cloud()
    wiring.cloud = lambda: cloud  # type: ignore[assignment]
    invoke = lambda name, event: load_function(name).lambda_handler(event, LambdaContext())  # noqa: E731
    World.of_live_model(cloud, invoke)
    _as_releases_do(cloud)
    text = json.dumps([[pk, sk, item] for (pk, sk), item in cloud.catalog.items.items()])
    packages = dict(cloud.registry.by_arn)
    items: dict[tuple[str, str], Item] = {}
    for number in range(pipelines):
        name = f"p-{number:03}"
        items |= {(pk, sk): item for pk, sk, item in json.loads(text.replace(PIPELINE, name))}
        for arn, package in packages.items():
            renamed = json.loads(json.dumps(package, default=str).replace(PIPELINE, name))
            renamed["CreationTime"] = package["CreationTime"]
            cloud.registry.by_arn[arn.replace(PIPELINE, name)] = renamed
    for held in cloud.objects.buckets.values():
        held |= {key.replace(PIPELINE, BUSY): versions for key, versions in held.items()}
    items |= _past(items, runs, arrivals)
    cloud.catalog = Catalog(items)
    return cloud


def _as_releases_do(cloud: fakes.Cloud) -> None:
    """Complete what the world wrote of its release by what a release notes besides."""
    (stage,) = releasing.find_stages(cloud, PIPELINE)
    listed = keys.listed(keys.ALL_STAGES, f"{PIPELINE}#{stage.name}")
    cloud.catalog.update(keys.stage_key(PIPELINE, stage.name), {**listed, "is_linked": True})
    cloud.catalog.update(keys.deployment_key(PIPELINE, stage.name, str(stage.live)), {"is_first": True})
    release = Release(PIPELINE, str(stage.live), "approval", "released", "ada", "arn", cloud.now.at)
    cloud.catalog.apply(start_release(release))
    cloud.catalog.apply(note_release(PIPELINE, release.release_id))


def _past(items: Mapping[tuple[str, str], Item], runs: int, arrivals: int) -> dict[tuple[str, str], Item]:
    key = keys.run_key(BUSY, f"{BUSY}-00001")
    run = items[key["pk"], key["sk"]]
    pipeline = keys.pipeline_key(BUSY)
    found = {
        (pipeline["pk"], pipeline["sk"]): {**items[pipeline["pk"], pipeline["sk"]], "build_seq": runs - 1}
    }
    for number in range(2, runs):
        run_key = keys.run_key(BUSY, f"{BUSY}-{number:05}")
        found[run_key["pk"], run_key["sk"]] = {**run, **run_key}
    settled = next(
        item for (pk, sk), item in items.items() if pk == key["pk"] and sk.startswith(keys.SETTLED)
    )
    for number in range(arrivals):
        sk = f"{keys.SETTLED}{BUSY}/{number:06}.csv#v1"
        found[key["pk"], sk] = {**settled, "sk": sk, "key": f"{BUSY}/{number:06}.csv"}
    return found


def measure(cloud: fakes.Cloud, name: str, path: str, repeated: int) -> list[Figure]:
    event = {"rawPath": path, "requestContext": {"http": {"method": "GET"}}}
    took, worked, counted, body = [], [], Counted(), ""
    for _ in range(repeated + 1):
        counted.gets = counted.batches = counted.queries = 0
        cloud.catalog.counted = counted  # type: ignore[attr-defined]
        began, before = time.perf_counter(), time.process_time()
        payload = answer(cloud, requests.of_event(event)).payload()
        took.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - before) * 1000)
        body = payload["body"]
        assert payload["statusCode"] == 200, body
    warm = sorted(took[1:])
    return [
        Figure(f"{name}: queries of the catalog", counted.queries, "requests"),
        Figure(f"{name}: gets of the catalog", counted.gets, "requests"),
        Figure(f"{name}: batches of gets", counted.batches, "requests"),
        Figure(f"{name}: size", len(body.encode()) / 1000, "kB", 100, "at most"),
        Figure(f"{name}: processor, median", statistics.median(worked[1:]), "ms"),
        Figure(f"{name}: median", statistics.median(warm), "ms"),
        Figure(f"{name}: p95", warm[min(len(warm) - 1, round(0.95 * len(warm)))], "ms", 300, "at most"),
    ]


def main() -> None:
    options = arguments(__doc__ or "")
    size = QUICK if options.quick else (PIPELINES, RUNS, ARRIVALS)
    cloud = grown(*size)
    repeated = QUICK_REPEATED if options.quick else REPEATED
    figures = [each for name, path in PATHS.items() for each in measure(cloud, name, path, repeated)]
    title = f"The console with {size[0]:,} pipelines, {size[1]:,} runs and {size[2]:,} arrivals"
    report(title, figures, options.json, [f"Each request to the catalog takes {REQUEST_S * 1000:.0f} ms."])


if __name__ == "__main__":
    main()
