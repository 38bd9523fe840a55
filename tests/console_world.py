"""Many pipelines, one of them with a long past, over a stack in memory whose catalog counts requests."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import fakes
from build_world import PIPELINE, PIPELINE_YAML, Invoke, World
from sluice.catalog import keys
from sluice.catalog.changes import monitoring as watching
from sluice.catalog.changes.releases import make_stage, note_release, plan_release, start_release
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.monitoring import LabelWindow, Watch, Window
from sluice.catalog.records.notices import Notice
from sluice.catalog.records.releases import Deployment, Release, Stage
from sluice.catalog.records.timeline import Entry
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Item
from sluice.services.release import releasing

BUSY = "p-000"
YAML = PIPELINE_YAML + (
    "release: {stages: [{name: staging}, {name: production, requires_approval: true}]}\n"
    "monitor: {every_s: 3600, quality: {metric: accuracy, window: 1d}}\n"
)
PATHS = {
    "home": "/",
    "notices": "/notices",
    "pipeline": f"/pipelines/{BUSY}",
    "runs": f"/pipelines/{BUSY}/runs",
    "run": f"/runs/{BUSY}-00001",
    "log": f"/runs/{BUSY}-00001/logs/prepare",
    "compare": f"/compare?run={BUSY}-00001&run={BUSY}-00002",
    "data": f"/pipelines/{BUSY}/data",
    "arrivals": f"/pipelines/{BUSY}/arrivals?state=included",
    "models": f"/pipelines/{BUSY}/models",
    "model": f"/models/{BUSY}/1",
    "releases": f"/pipelines/{BUSY}/releases",
    "rollback": f"/pipelines/{BUSY}/releases/production/rollback",
    "monitoring": f"/pipelines/{BUSY}/monitoring",
    "batches": f"/pipelines/{BUSY}/batches",
    "why": f"/pipelines/{BUSY}/why",
}
_PROMOTED, _WINDOWS, _ASIDE, _WAITING, _VERSIONS, _MODELS, _NOTICES = 30, 90, 120, 40, 60, 80, 200


class Counted:
    """Requests of one page."""

    def __init__(self) -> None:
        self.gets = self.batches = self.queries = 0
        self._lock = threading.Lock()

    def one(self, kind: str) -> None:
        with self._lock:
            setattr(self, kind, getattr(self, kind) + 1)


class Catalog(fakes.FakeCatalog):
    """A catalog that is only read, sorted once; each request takes `request_s`."""

    def __init__(self, items: Mapping[tuple[str, str], Item], request_s: float) -> None:
        self.items = dict(items)
        self.counted, self.request_s = Counted(), request_s
        self._sks: dict[str, list[str]] = {}
        self._listed: dict[str, list[Item]] = {}
        for pk, sk in sorted(self.items):
            self._sks.setdefault(pk, []).append(sk)
            item = self.items[pk, sk]
            if "gsi1pk" in item:
                self._listed.setdefault(item["gsi1pk"], []).append(item)

    def _asked(self, kind: str) -> None:
        self.counted.one(kind)
        if self.request_s:
            time.sleep(self.request_s)

    def get(self, key: Mapping[str, str]) -> Item | None:
        self._asked("gets")
        item = self.items.get((key["pk"], key["sk"]))
        return dict(item) if item else None

    def get_all(self, keys: Sequence[Mapping[str, str]]) -> list[Item | None]:
        for _ in range(-(-len(keys) // 100)):
            self._asked("batches")
        found = (self.items.get((key["pk"], key["sk"])) for key in keys)
        return [dict(item) if item else None for item in found]

    def query(self, pk: str, prefix: str = "", **options: Any) -> list[Item]:
        self._asked("queries")
        sks, limit, after = self._sks.get(pk, []), options.get("limit"), options.get("after")
        first, last = options.get("between") or (prefix, prefix + "\U0010ffff")
        found = sks[bisect_left(sks, first) : bisect_right(sks, last)]
        if options.get("newest_first"):
            found = found[::-1]
        if after is not None:
            found = [sk for sk in found if (sk < after if options.get("newest_first") else sk > after)]
        return [dict(self.items[pk, sk]) for sk in found[:limit]]

    def listing(self, gsi1pk: str) -> list[Item]:
        self._asked("queries")
        return [dict(item) for item in self._listed.get(gsi1pk, [])]


def grown(
    cloud: fakes.Cloud, invoke: Invoke, pipelines: int, runs: int, arrivals: int, request_s: float = 0.0
) -> Catalog:
    """Copy a pipeline with a model that serves on two stages to many names, and give one a long past."""
    world = World(cloud, invoke)
    world.push(pipeline=YAML.encode())
    assert world.build("a.csv") == "registered"
    world.release()
    world.later(hours=2)
    _release_to_both(cloud)
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
    cloud.catalog = past = Catalog(items, request_s)
    _Past(cloud, items).grow(runs, arrivals)
    cloud.catalog = Catalog(past.items | items, request_s)
    return cloud.catalog


def _release_to_both(cloud: fakes.Cloud) -> None:
    """Add what a release notes besides what the world wrote of it, on two stages."""
    (stage,) = releasing.find_stages(cloud, PIPELINE)
    catalog, live = cloud.catalog, str(stage.live)
    first = Deployment.of(catalog.get(keys.deployment_key(PIPELINE, stage.name, live)) or {})
    arn = first.package_arn
    release = Release(PIPELINE, live, "approval", "released", "ada", "arn", cloud.now.at)
    catalog.apply(start_release(release))
    catalog.apply(note_release(PIPELINE, live))
    catalog.apply(*plan_release(PIPELINE, live, arn, first.package_version, ["staging", "production"]))
    catalog.items.pop((keys.partition(PIPELINE), keys.stage_key(PIPELINE, stage.name)["sk"]))
    for position, name in enumerate(("staging", "production")):
        endpoint = f"sluice--{PIPELINE}--{name}"
        catalog.apply(make_stage(Stage(PIPELINE, name, endpoint, position, live=live)))
        mine = replace(first, stage=name, is_first=True, promoted_at=first.promoted_at or cloud.now.at)
        catalog.update(keys.deployment_key(PIPELINE, name, live), keys.without_key(mine.item()))


class _Past:
    """What happened to one pipeline over the years, as items."""

    def __init__(self, cloud: fakes.Cloud, items: dict[tuple[str, str], Item]) -> None:
        self.cloud, self.items = cloud, items
        self.now = from_iso(cloud.now())

    def put(self, item: Mapping[str, Any]) -> None:
        self.items[item["pk"], item["sk"]] = json.loads(json.dumps(item))

    def change(self, key: Mapping[str, str], **changes: Any) -> None:
        self.items[key["pk"], key["sk"]] = {**self.items[key["pk"], key["sk"]], **changes}

    def of(self, key: Mapping[str, str]) -> Item:
        return self.items[key["pk"], key["sk"]]

    def at(self, **ago: float) -> str:
        return to_iso(self.now - timedelta(**ago))

    def grow(self, runs: int, arrivals: int) -> None:
        self._runs(runs)
        self._arrivals(arrivals)
        self._promotions()
        self._windows()
        self._models()
        for number in range(_NOTICES):
            told = Notice(
                f"told-{number:05}", "run_failed", self.at(minutes=number), f"Run {number} failed", ""
            )
            self.put(told.item())

    def _runs(self, runs: int) -> None:
        run = self.of(keys.run_key(BUSY, f"{BUSY}-00001"))
        steps = [item for (pk, _), item in self.items.items() if pk == keys.steps_partition(f"{BUSY}-00001")]
        self.change(keys.pipeline_key(BUSY), build_seq=runs - 1)
        for number in range(2, runs):
            name = f"{BUSY}-{number:05}"
            self.put({**run, **keys.run_key(BUSY, name)})
            said = ("run started", "data validated", "run ended")
            for at, event in enumerate(said):
                when = self.at(minutes=3 * (runs - number), seconds=-at)
                self.put(Entry(BUSY, when, name, event, "sluice", "as it was asked for").item())
        for step in steps:
            self.put({**step, "pk": keys.steps_partition(f"{BUSY}-00002")})

    def _arrivals(self, count: int) -> None:
        pk = keys.partition(BUSY)
        settled = next(
            item for (held, sk), item in self.items.items() if held == pk and sk.startswith(keys.SETTLED)
        )
        for number in range(count):
            sk = f"{keys.SETTLED}{BUSY}/{number:06}.csv#v1"
            self.items[pk, sk] = {**settled, "sk": sk, "key": f"{BUSY}/{number:06}.csv"}
        for state, status, many in (
            (keys.QUARANTINED, "quarantined", _ASIDE),
            (keys.WAITING, "pending", _WAITING),
        ):
            for number in range(many):
                key = f"{BUSY}/{status}-{number:04}.csv"
                version = self.cloud.objects.put(fakes.DATA_BUCKET, key, b"x,y\n1,7\n")
                arrival = Arrival(BUSY, key, version, 8, self.at(hours=1), status, state=state)  # type: ignore[arg-type]
                self.put(replace(arrival, reason="y: 1 row not one of 0, 1").item())
        newest = [sk for _, sk in self.items if sk.startswith(f"{keys.QUARANTINED}{BUSY}/")][:5]
        self.put({**keys.aside_key(BUSY), "newest": newest, "has_more": True})
        dataset = next(
            item for (held, sk), item in self.items.items() if held == pk and sk.startswith(keys.DATASETS)
        )
        for number in range(_VERSIONS):
            made, version = self.at(hours=number + 1), f"{number:064x}"
            self.put({**dataset, **keys.dataset_key(BUSY, version), "created_at": made})
            self.put({**keys.version_index_key(BUSY, made, version), "version": version})

    def _promotions(self) -> None:
        """Each stage's live deployment has a long chain before it."""
        for stage in ("staging", "production"):
            item = self.of(keys.stage_key(BUSY, stage))
            live = Deployment.of(self.of(keys.deployment_key(BUSY, stage, item["live"])))
            self.put(
                {**keys.promotion_key(BUSY, stage, str(live.promoted_at)), "release_id": live.release_id}
            )
            at = replace(live, is_first=False)
            for number in range(_PROMOTED):
                former = f"{BUSY}-v1-{number:08x}"
                self.put(replace(at, follows=former).item())
                promoted = self.at(days=number + 1)
                at = replace(
                    live,
                    release_id=former,
                    promoted_at=promoted,
                    bake_until=promoted,
                    ended_at=self.at(days=number),
                    status="superseded",
                    is_first=False,
                )
                self.put({**keys.promotion_key(BUSY, stage, promoted), "release_id": former})
                release = Release(BUSY, former, "command", "released", "ada", "arn", promoted)
                ended = {"stages": [stage], "package_arn": live.package_arn, "ended_at": promoted}
                self.put(replace(release, **ended).item())  # type: ignore[arg-type]
                self.put({**keys.package_release_key(live.package_arn, former), "pipeline": BUSY})
            self.put(replace(at, is_first=True).item())

    def _windows(self) -> None:
        for stage in ("staging", "production"):
            item = self.of(keys.stage_key(BUSY, stage))
            watch = Watch(BUSY, stage, item["live"], self.at(hours=0), recent=(), recent_labels=())
            starts, days = [], []
            for number in range(_WINDOWS):
                start = self.at(hours=number + 1)
                window = Window(
                    BUSY, stage, start, self.at(hours=number), item["live"], 1, "ok", start, start,
                    requests=900, rows=1000 + number, figures={"x psi": 0.1 + number / 1000},
                )  # fmt: skip
                self.put(window.item())
                starts.append(start)
                day = self.at(days=number + 1)
                labels = LabelWindow(
                    BUSY, stage, day, self.at(days=number), day, item["live"], 1, "ok", is_final=True,
                    rows=24_000, labelled=20_000,
                    measured=[{"metric": "accuracy", "value": 0.9, "interval": [0.88, 0.92]}],
                )  # fmt: skip
                self.put(labels.item())
                days.append(day)
            newest = {"recent": starts[: watching.RECENT], "recent_labels": days[: watching.RECENT]}
            self.put({**watch.item(), **newest})

    def _models(self) -> None:
        arn = next(each for each in self.cloud.registry.by_arn if f"--{BUSY}/" in each)
        group = arn.rpartition("/")[0]
        package = self.of(keys.package_key(arn))
        for number in range(2, _MODELS):
            mine = f"{group}/{number}"
            self.put({**package, **keys.package_key(mine), "version": number, "approval_status": None})
            described = self.cloud.registry.by_arn[arn]
            self.cloud.registry.by_arn[mine] = {
                **described,
                "ModelPackageArn": mine,
                "ModelPackageVersion": number,
                "ModelApprovalStatus": "PendingManualApproval",
            }
        self.change(keys.pipeline_key(BUSY), newest_package=f"{group}/{_MODELS - 1}")
