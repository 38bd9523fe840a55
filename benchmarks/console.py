"""Measure the console's pages with many pipelines and a long past: reads, size and time.

.venv/bin/python benchmarks/console.py [--quick] [--json FILE]

The function's code answers, over a stack in memory whose catalog takes 4 ms for each request, like DynamoDB.
Each pipeline has a model that serves on two stages; one of them has all the runs and arrivals, and what comes
with years: releases, windows of monitoring, objects that were set aside, versions that nobody decided about.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ["POWERTOOLS_LOG_LEVEL"] = "CRITICAL"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import fakes
from console_world import PATHS, Catalog, Counted, grown
from figures import Figure, arguments, report
from handlers import LambdaContext, load_function
from sluice import wiring
from sluice.console import requests
from sluice.console.answering import answer

REQUEST_S = 0.004
PIPELINES, RUNS, ARRIVALS = 100, 10_000, 100_000
QUICK = (20, 1_000, 10_000)
REPEATED, QUICK_REPEATED = 40, 5
# Of a page: Query requests of DynamoDB, which cost by what they find; gets by key come in a few batches.
QUERIES_MAX, SIZE_MAX_KB, P95_MAX_MS = 3, 100, 300


def measure(cloud: fakes.Cloud, catalog: Catalog, name: str, path: str, repeated: int) -> list[Figure]:
    """Ask for a page once to warm up, and then often."""
    path, _, query = path.partition("?")
    event = {"rawPath": path, "rawQueryString": query, "requestContext": {"http": {"method": "GET"}}}
    took, worked, body = [], [], ""
    for _ in range(repeated + 1):
        counted = catalog.counted = Counted()
        began, before = time.perf_counter(), time.process_time()
        payload = answer(cloud, requests.of_event(event)).payload()
        took.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - before) * 1000)
        body = payload["body"]
        assert payload["statusCode"] == 200, body
    warm = sorted(took[1:])
    return [
        Figure(f"{name}: queries of the catalog", counted.queries, "requests", QUERIES_MAX, "at most"),
        Figure(f"{name}: batches of gets", counted.batches + counted.gets, "requests"),
        Figure(f"{name}: size", len(body.encode()) / 1000, "kB", SIZE_MAX_KB, "at most"),
        Figure(f"{name}: processor, median", statistics.median(worked[1:]), "ms"),
        Figure(f"{name}: median", statistics.median(warm), "ms"),
        Figure(
            f"{name}: p95", warm[min(len(warm) - 1, round(0.95 * len(warm)))], "ms", P95_MAX_MS, "at most"
        ),
    ]


def _invoke(name: str, event: Any) -> Any:
    return load_function(name).lambda_handler(event, LambdaContext())


def main() -> None:
    options = arguments(__doc__ or "")
    size = QUICK if options.quick else (PIPELINES, RUNS, ARRIVALS)
    cloud = fakes.Cloud()
    wiring.cloud = lambda: cloud  # type: ignore[assignment]
    catalog = grown(
        cloud, lambda name, event: load_function(name).lambda_handler(event, LambdaContext()), *size
    )
    catalog.request_s = REQUEST_S
    repeated = QUICK_REPEATED if options.quick else REPEATED
    figures = [each for name, path in PATHS.items() for each in measure(cloud, catalog, name, path, repeated)]
    title = f"The console with {size[0]:,} pipelines, {size[1]:,} runs and {size[2]:,} arrivals"
    load = os.getloadavg()
    notes = [
        f"A request to the catalog takes {REQUEST_S * 1000:.0f} ms. {repeated} warm requests of each page.",
        f"Load of the machine at the end: {load[0]:.1f} on {os.cpu_count()} processors.",
    ]
    report(title, figures, options.json, notes)


if __name__ == "__main__":
    main()
