"""Measure reads and time of an upload, a decision, a build and commands by the length of a pipeline's past.

.venv/bin/python benchmarks/growth.py [--quick] [--json FILE]

The functions and commands are the real ones, over a catalog and a bucket in memory that count requests to AWS
(grown.py). The past has so many arrivals, and a hundredth as many runs and releases.
"""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

os.environ["POWERTOOLS_LOG_LEVEL"] = "CRITICAL"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import fakes
from build_world import PIPELINE, World, created, requests
from figures import arguments
from grown import Count, GrownCatalog, GrownObjects, GrownRegistry, Keys
from handlers import LambdaContext, load_function
from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.records.releases import Stage
from sluice.domain import times
from sluice.domain.config.models import Data
from sluice.domain.data import leaves, segments
from sluice.domain.data.datasets import LIST_END, DatasetManifest, ObjectVersion, list_opening, listed
from sluice.domain.data.segment_files import SegmentFile
from sluice.domain.data.segments import DatasetHead, Segment
from sluice.domain.locations import Locations
from sluice.quality import run
from sluice.quality.judging import Baseline, Terms
from sluice.quality.part_results import PART, PartResults
from sluice.quality.run import Limits, Work
from sluice.quality.validation import DataFile
from sluice.services import building
from sluice.services.data import arrivals, batching, datasets, presence
from sluice.services.views import data, pipelines, runs, uploads
from sluice_cli import lookup

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 5_000)
TURNS = 5
BUILDS, QUICK_BUILDS = 1_000, 250
ARRIVALS_PER_RUN = 100
AT = "2026-01-01T00:00:00.000Z"
CONTENT = b"x,y\n1,0\n"
CONTENT_SHA256 = hashlib.sha256(CONTENT).hexdigest()
PK = keys.partition(PIPELINE)
NEW = 5


@dataclass(frozen=True)
class Measured:
    """What one call cost."""

    requests: int
    items: int
    seconds: float
    # Of objects, except their own content.
    bytes: int = 0


def name(number: int) -> str:
    """Return the key of an object of the past."""
    return f"{PIPELINE}/day-{number // 1000:05}/part-{number:07}.csv"


def runs_of(size: int) -> int:
    """Return the number of past runs and releases, at least a page."""
    return max(100, size // ARRIVALS_PER_RUN)


def sha256(number: int) -> str:
    return f"{number:064x}"


def grown(size: int) -> World:
    """Make a pipeline with a past, a valid data set of all arrivals, and a stage."""
    catalog, objects = GrownCatalog(), GrownObjects()
    registry = GrownRegistry(runs_of(size))
    cloud = fakes.Cloud(catalog=catalog, objects=objects, registry=registry)
    wiring.cloud = lambda: cloud  # type: ignore[assignment]
    world = World(cloud, invoke)
    project = world.push()
    objects.past[fakes.DATA_BUCKET] = Keys(size, name)
    catalog.package = {"approval_status": "Approved", "approval_epoch": 1, "acted_epoch": 1}
    add_arrivals(catalog, size)
    add_runs(catalog, runs_of(size), project)
    add_dataset(world, size, project)
    return world


def invoke(function: str, event: Any) -> Any:
    return load_function(function).lambda_handler(json.loads(json.dumps(event)), LambdaContext())


def add_arrivals(catalog: GrownCatalog, size: int) -> None:
    def item(number: int) -> dict[str, Any]:
        run = number // ARRIVALS_PER_RUN
        return {
            "key": name(number),
            "version_id": "v1",
            "size_bytes": 1000,
            "sha256": CONTENT_SHA256,
            "arrived_at": AT,
            "heard_at": AT,
            "recorded_at": AT,
            "status": "included",
            "batch": f"{AT}/{AT} {run}",
            "taken_up_by": f"{PIPELINE}-{run:05}",
            "dataset_version": sha256(run),
        }

    catalog.add_past(PK, size, lambda number: f"{keys.SETTLED}{name(number)}#v1", item)
    catalog.create({**keys.counts_key(PIPELINE), "included": size})
    event = {"at": AT, "subject": "x", "event": "data arrived", "actor": "sluice", "detail": "1000 bytes"}
    catalog.add_past(PK, size, lambda number: f"TIMELINE#2025-{number:09}", lambda _: event)


def add_runs(catalog: GrownCatalog, runs: int, project: str) -> None:
    """Add ended runs with their data sets, and the releases of their models, of which none serves now."""
    ended = {"started_at": AT, "ended_at": AT, "reasons": [], "project_version": project}
    done = {"package_arn": "arn", "package_version": 1, "started_at": AT, "cause": "approval", "stages": []}

    def run(number: int) -> dict[str, Any]:
        return {**ended, "status": "registered", "dataset_version": sha256(number)}

    def release(number: int) -> dict[str, Any]:
        return {**done, "status": "released", "execution_arn": f"arn:{number}"}

    def deployment(number: int) -> dict[str, Any]:
        return {**done, "status": "superseded", "run_id": f"{PIPELINE}-{number:05}", "promoted_at": AT}

    def dataset(number: int) -> dict[str, Any]:
        return {
            "status": "valid",
            "created_at": AT,
            "objects": 1,
            "size_bytes": 1,
            "manifest_uri": "s3://b/k",
        }

    catalog.add_past(PK, runs, lambda number: f"RUN#{PIPELINE}-{number:05}", run)
    catalog.add_past(PK, runs, lambda number: f"RELEASE#{PIPELINE}-v{number:05}-0", release)
    catalog.add_past(PK, runs, lambda number: f"DEPLOYMENT#production#{number:05}", deployment)
    catalog.add_past(PK, runs, lambda number: f"DATASET#{sha256(number)}", dataset)
    catalog.create(Stage(PIPELINE, "production", f"sluice--{PIPELINE}--production").item())
    last = f"{PIPELINE}-v{runs - 1:05}-0"
    catalog.update(keys.pipeline_key(PIPELINE), {"build_seq": runs, "last_release": last})


def add_dataset(world: World, size: int, project: str) -> None:
    """Add the last valid version, which has all arrivals; a large one's segments are never read."""
    cloud, numbers = world.cloud, range(size)
    if size <= presence.LISTED_MAX:
        objects = DatasetManifest.of(ObjectVersion(name(n), "v1", 1000, CONTENT_SHA256) for n in numbers)
        head = datasets.make(cloud, PIPELINE, objects, None)
    else:
        full = segments.OBJECTS_MAX
        places = Locations(fakes.ARTIFACT_BUCKET, PIPELINE)
        parts = [range(first, min(first + full, size)) for first in range(0, size, full)]
        head = DatasetHead(tuple(past_segment(part) for part in parts))
        assert isinstance(cloud.objects, GrownObjects)
        for part in parts:
            cloud.objects.computed[places.segment(sha256(part.start))] = partial(segment_file, part)
        cloud.objects.write(places.dataset_manifest(head.version), head.to_json())
        cloud.objects.write(places.dataset_files(head.version), b"[]")
        cloud.objects.computed[places.dataset_files(head.version)] = partial(files, size)
        # What changes is in the first segment.
        cloud.objects.make(places.dataset_files(head.version), places.segment(sha256(0)))
    add_parts(world, head, project)
    of_all = {"objects": size, "rows": size, "size_bytes": 1000 * size, "manifest_uri": "s3://b/k"}
    made = {"status": "valid", "created_at": AT, **of_all}
    cloud.catalog.create({**keys.dataset_key(PIPELINE, head.version), **made})
    cloud.catalog.update(keys.pipeline_key(PIPELINE), {"dataset_version": head.version})


def add_parts(world: World, head: DatasetHead, project: str) -> None:
    """Add what was found in the past's data: one of its objects is read, and all are alike."""
    cloud, places = world.cloud, Locations(fakes.ARTIFACT_BUCKET, PIPELINE)
    assert isinstance(cloud.objects, GrownObjects)
    data = building.overridden(building.find_project(cloud, PIPELINE, project), None).data
    contract = run.parts_contract(data)
    with TemporaryDirectory() as folder:
        file = DataFile(name(0), Path(folder, "0"))
        file.path.write_bytes(CONTENT)
        limits, terms = Limits(256, None, Path(folder)), Terms(data, Baseline(), times.from_iso(AT))
        (found,) = run.read(Work([file], terms, limits), edged=None).leaf_parts
    one = run.parsed_leaf(found, data)
    assert one is not None
    # Their quantiles are of all rows.
    alike = replace(one, edged_rows=head.objects)
    begin = 0
    for each in head.segments:
        cloud.objects.write(places.segment_part(each.digest, contract), repeated(data, alike, each.objects))
        for leaf in leaves.of(segment_of(cloud, each)):
            uri, part = places.leaf_part(leaf.digest, contract), range(begin, begin + leaf.objects)
            cloud.objects.computed[uri] = partial(leaf_part, data, alike, part)
            begin = part.stop
    sizes = {each.digest: each.objects for each in head.segments}
    for run_of, its in leaves.runs([*sizes]).items():
        objects = sum(sizes[digest] for digest in its)
        cloud.objects.write(places.segment_part(run_of, contract), repeated(data, alike, objects))
    cloud.objects.write(places.dataset_document(head.version, PART), repeated(data, alike, head.objects))


def segment_of(cloud: fakes.Cloud, segment: Segment) -> SegmentFile:
    """Read a segment of the past, or make it up without keeping it."""
    uri = Locations(fakes.ARTIFACT_BUCKET, PIPELINE).segment(segment.digest)
    assert isinstance(cloud.objects, GrownObjects)
    made = cloud.objects.computed.get(uri)
    return SegmentFile(made() if made else cloud.objects.read(uri))


def leaf_part(data: Data, one: PartResults, part: range) -> bytes:
    whole = run.parsed(repeated(data, one, len(part)), data)
    assert whole is not None
    rows = dict.fromkeys(map(name, part), one.rows)
    return run.leaf_of([replace(whole, object_rows=rows)], data)


def repeated(data: Data, one: PartResults, count: int) -> bytes:
    """Add up what was found in one object so many times."""
    summands, power = [], one
    while count:
        if count % 2:
            summands.append(power)
        count //= 2
        twice = run.parsed(run.added_up([power, power], data), data)
        assert twice is not None
        power = twice
    return run.added_up(summands, data)


def past_segment(part: range) -> Segment:
    length = len(listed([*map(name, part)]))
    return Segment(sha256(part.start), len(part), 1000 * len(part), name(part[0]), name(part[-1]), length)


def segment_file(part: range) -> bytes:
    return SegmentFile.of(ObjectVersion(name(n), "v1", 1000, CONTENT_SHA256) for n in part).data


def files(size: int) -> bytes:
    keys = listed([*map(name, range(size))])
    return list_opening(fakes.DATA_BUCKET) + keys + LIST_END


class Measure:
    """Times calls, and counts their requests to the catalog and the buckets."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: dict[str, Measured] = {}

    def __call__(self, what: str, call: Callable[[], Any]) -> Any:
        cloud = self.world.cloud
        catalog, objects, registry = cloud.catalog, cloud.objects, cloud.registry
        assert isinstance(catalog, GrownCatalog)
        assert isinstance(objects, GrownObjects)
        assert isinstance(registry, GrownRegistry)
        catalog.count, objects.count, registry.count = Count(), Count(), Count()
        # What the past takes in memory is not looked through meanwhile.
        gc.collect()
        gc.disable()
        start = processor_s()
        answer = call()
        seconds = processor_s() - start - objects.count.made_s
        gc.enable()
        objects.make()
        counts = (catalog.count, objects.count, registry.count)
        asked = sum(count.requests for count in counts) + catalog.count.writes
        items = sum(count.items for count in counts)
        self.found[what] = Measured(asked, items, seconds, objects.count.bytes)
        return answer


def processor_s() -> float:
    """Return the processor's seconds of this process and of those that it began."""
    for child in multiprocessing.active_children():
        # Its seconds count once it was waited for.
        child.join()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Stack:
    """The part of a `Target` that the commands use."""

    stack = "sluice"

    def __init__(self, cloud: fakes.Cloud) -> None:
        self.cloud, self.catalog = cloud, cloud.catalog
        self.outputs = {"DataBucketName": fakes.DATA_BUCKET}

    def client(self, service: str) -> Any:
        return None

    def call(self, service: str, operation: str, **given: Any) -> dict[str, Any]:
        return {"MetricAlarms": []}


def measure(size: int) -> dict[str, Measured]:
    """Measure the life of a few new objects in a pipeline with such a past."""
    world = grown(size)
    measured = Measure(world)
    for number in range(NEW):
        upload(world, f"new-{number}.csv")
    measured("record_arrival", lambda: upload(world, "new.csv"))
    awaited = requests({"pipeline": PIPELINE, "at": world.pipeline["build_requested_for"]})
    measured("start_build, a decision", lambda: invoke("start_build", awaited))
    look(world, measured)
    world.later(minutes=2)
    measured("start_build, a start", lambda: invoke("start_build", requests(PIPELINE)))
    build(world, measured)
    for what, act in CHANGES.items():
        act(world)
        world.later(minutes=2)
        invoke("start_build", requests(PIPELINE))
        build(world, measured, f", {what}")
    set_aside(world, "bad.csv")
    measured("release_data", lambda: release(world, "bad.csv"))
    for what in ("uploads", f"deletions of {PIPELINE}", "packages", "projects"):
        # The first pass of a day goes through everything.
        today = {"after": "", "full_on": world.cloud.now()[:10], "is_full": False}
        world.cloud.catalog.update(keys.sweep_key(what), today)
    measured("reconcile", lambda: invoke("reconcile", {}))
    return measured.found


def upload(world: World, named: str) -> None:
    key = f"{PIPELINE}/new/{named}"
    body = f"x,y\n1,0\n{zlib.crc32(named.encode()) / 1e8},1\n"
    version_id = world.cloud.objects.put(fakes.DATA_BUCKET, key, body.encode())
    invoke("record_arrival", created(fakes.DATA_BUCKET, key, version_id))


def look(world: World, measured: Measure) -> None:
    """Measure what the commands read."""
    target: Any = Stack(world.cloud)
    last = f"{PIPELINE}-{world.pipeline['build_seq'] - 1:05}"
    measured("sluice status", lambda: pipelines.status(target.cloud, PIPELINE))
    measured("sluice runs", lambda: runs.runs(target.cloud, PIPELINE, limit=20))
    measured("sluice run", lambda: lookup.the_run(target, last))
    measured("sluice data list", lambda: data_list(target))


def data_list(target: Any) -> None:
    uploads.page(target.cloud, PIPELINE)
    data.what_waits(target.cloud, PIPELINE)


def overwrite(world: World) -> None:
    """Upload an object of the past again, with other content."""
    put_again(world, name(7), b"x,y\n2,0\n")


def upload_again(world: World) -> None:
    """Upload an object of the past again, as it is."""
    put_again(world, name(8), CONTENT)


def put_again(world: World, key: str, body: bytes) -> None:
    objects = world.cloud.objects
    # Its first version is of the past.
    objects.put(fakes.DATA_BUCKET, key, CONTENT)
    invoke("record_arrival", created(fakes.DATA_BUCKET, key, objects.put(fakes.DATA_BUCKET, key, body)))


def delete(world: World) -> None:
    """Delete an object of the past, and upload a new one, as a deletion alone starts no build."""
    objects, key = world.cloud.objects, name(9)
    assert isinstance(objects, GrownObjects)
    objects.deleted.add(key)
    detail = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d"}}
    invoke("record_deletion", {"time": world.cloud.now(), "detail": detail})
    upload(world, "beside-a-deletion.csv")


CHANGES: dict[str, Callable[[World], None]] = {
    "an object overwritten": overwrite,
    "the same again": upload_again,
    "an object deleted": delete,
}


def build(world: World, measured: Measure, of: str = "") -> None:
    """Measure a build's own steps."""
    run_id = world.pipeline["in_flight"]
    snapshot = measured(f"snapshot_dataset{of}", lambda: invoke("snapshot_dataset", world.common(run_id)))
    version = snapshot["dataset_version"]
    task = {**world.common(run_id), "dataset_version": version}
    if snapshot["is_new"]:
        verdict = measured(f"validate_data{of}", lambda: invoke("validate_data", task))
        assert verdict["is_valid"], verdict
    for step in ("prepare", "train-0", "train-1"):
        world.job(step, run_id)
    measured(f"select_candidate{of}", lambda: invoke("select_candidate", task))
    ended = {"pipeline": PIPELINE, "run_id": run_id, "status": "rejected", "reasons": ["x"]}
    measured(f"finish_run{of}", lambda: invoke("finish_run", ended))


def set_aside(world: World, named: str) -> None:
    upload(world, named)
    arrival = arrivals.find(world.cloud, PIPELINE, f"{PIPELINE}/new/{named}", "v1")
    assert arrival is not None
    assert batching.set_aside(world.cloud, arrival, "x")


def release(world: World, named: str) -> None:
    detail = {
        "bucket": {"name": fakes.DATA_BUCKET},
        "object": {"key": f"{PIPELINE}/new/{named}", "version-id": "v1"},
        "request_id": "1",
        "actor": "arn:aws:iam::123456789012:user/ada",
        "reason": "checked",
    }
    answer = invoke("release_data", {"time": "2026-11-24T11:00:00Z", "detail": detail})
    assert answer == {"status": "released"}, answer


def rows(found: dict[int, dict[str, Measured]]) -> Iterator[tuple[str, list[Measured], float, float]]:
    """Yield each handler, its costs by size, and the growth of its requests and its time."""
    sizes = sorted(found)
    for what in found[sizes[0]]:
        costs = [found[size][what] for size in sizes]
        first, last = costs[0], costs[-1]
        yield what, costs, last.requests / max(1, first.requests), last.seconds / first.seconds


def report(found: dict[int, dict[str, Measured]], json_path: Path | None) -> None:
    sizes = sorted(found)
    table = Table(title="Cost by the number of arrivals that ever were", title_justify="left", box=None)
    table.add_column("function or command")
    for size in sizes:
        table.add_column(f"{size:,}\nrequests, items, kB, ms", justify="right")
    table.add_column("requests\ngrow by", justify="right")
    table.add_column("time\ngrows by", justify="right")
    for what, costs, more, longer in rows(found):
        cells = (
            f"{cost.requests}, {cost.items:,}, {cost.bytes / 1e3:,.0f}, {cost.seconds * 1e3:,.1f}"
            for cost in costs
        )
        table.add_row(what, *cells, f"{more:.2f}", f"{longer:.2f}")
    Console(width=60 + 30 * len(sizes)).print(table)
    if json_path:
        listed = [
            {
                "name": what,
                "requests": [cost.requests for cost in costs],
                "bytes": [cost.bytes for cost in costs],
                "ms": [round(cost.seconds * 1e3, 1) for cost in costs],
                "grows_by": more,
            }
            for what, costs, more, _ in rows(found)
        ]
        json_path.write_text(json.dumps({"sizes": sizes, "figures": listed}, indent=2) + "\n")


def build_after_build(builds: int) -> None:
    """Let a data set grow by a thousand objects a build, and compare the last builds with the first."""
    cloud, head, places = fakes.Cloud(), DatasetHead(), Locations(fakes.ARTIFACT_BUCKET, PIPELINE)
    cloud.objects = GrownObjects()
    empty = list_opening(fakes.DATA_BUCKET) + LIST_END
    cloud.objects.write(places.dataset_files(head.version), empty)
    costs: list[tuple[float, int, int]] = []
    for build in range(builds):
        numbers = range(build * 1000, build * 1000 + 1000)
        new = [ObjectVersion(name(n), "v1", 1000, sha256(n)) for n in numbers]
        former, cloud.objects.count, start = head.version, Count(), time.process_time()
        head = datasets.grow(cloud, PIPELINE, head, new)
        seconds = time.process_time() - start - cloud.objects.count.made_s
        costs.append((seconds, cloud.objects.count.requests, cloud.objects.count.bytes))
        # A thousand lists of up to 38 MB.
        cloud.objects.forget(places.dataset_files(former))
    half = builds // 2
    table = Table(title=f"{builds:,} builds of 1,000 objects", title_justify="left", box=None)
    for column in ("half", "seconds", "reads", "MB read", "segments at its end"):
        table.add_column(column, justify="right")
    for which, part in (("first", costs[:half]), ("second", costs[half:])):
        seconds, reads, read = (sum(each) for each in zip(*part, strict=True))
        last = len(head.segments) if which == "second" else ""
        table.add_row(which, f"{seconds:.1f}", f"{reads:,.0f}", f"{read / 1e6:,.0f}", f"{last}")
    Console(width=100).print(table)


def in_turns(sizes: Sequence[int], turns: int) -> dict[int, dict[str, Measured]]:
    """Measure each size in turns, each time in a process of its own, which holds no other past.

    Times are medians.
    """
    found: dict[int, list[dict[str, Measured]]] = {size: [] for size in sizes}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for turn in range(turns):
            for size, each in found.items():
                each.append(pool.submit(measure_warm, size).result())
                print(f"measured {size:,} ({turn + 1} of {turns})", file=sys.stderr)
    return {
        size: {
            what: replace(last, seconds=statistics.median(each[what].seconds for each in measured))
            for what, last in measured[-1].items()
        }
        for size, measured in found.items()
    }


def measure_warm(size: int) -> dict[str, Measured]:
    """Measure in a process that has imported all."""
    measure(100)
    return measure(size)


def main(sizes: Sequence[int] | None = None) -> None:
    options = arguments(str(__doc__).partition("\n")[0])
    found = in_turns(sizes or (QUICK_SIZES if options.quick else SIZES), 1 if options.quick else TURNS)
    report(found, options.json)
    build_after_build(QUICK_BUILDS if options.quick else BUILDS)


if __name__ == "__main__":
    main()
