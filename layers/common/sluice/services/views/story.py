"""Tell why a version serves on a stage: data, run, gates, people, releases, and what came of it since.

Every part is read by its key, or is a query with a limit. What was not recorded is None, and is not made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Run, Step
from sluice.catalog.records.data import Dataset
from sluice.catalog.records.monitoring import LabelWindow, Window
from sluice.catalog.records.releases import Approval, Deployment, Release
from sluice.domain import names
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.services import building, timeline
from sluice.services.monitoring import watched
from sluice.services.release import deploying, releasing
from sluice.services.views import candidates, models, stages

Part = dict[str, Any]
# So many decisions, windows, and entries of the timeline are looked at, the newest first.
DECISIONS, WINDOWS, ENTRIES = 20, 10, 300
_EVER = "9"
# What each window may say once more.
_REPEATED = ("monitoring", "decay", "decay estimated")


@dataclass(frozen=True, slots=True)
class Timeline:
    """The newest entries since what is live was first released anywhere, oldest first; all, if they fit."""

    entries: Sequence[Mapping[str, Any]]
    is_whole: bool
    # Whether what they do not reach is asked for.
    looks_back: bool

    @classmethod
    def of(cls, cloud: Cloud, live: Deployment, *, looks_back: bool) -> Timeline:
        noted = {live.release_id, *noted_releases(cloud, live.package_arn)}
        found = cloud.catalog.get_all([keys.release_key(live.pipeline, each) for each in sorted(noted)])
        since = min((str(item["started_at"]) for item in found if item), default=str(live.promoted_at))
        read = timeline.page(cloud, live.pipeline, since, limit=ENTRIES)
        return cls(read[::-1], is_whole=len(read) < ENTRIES, looks_back=looks_back)

    def has(self, since: str) -> bool:
        """Whether all entries since a time are here."""
        return self.is_whole or (bool(self.entries) and str(self.entries[0]["at"]) < since)


def why(cloud: Cloud, pipeline: str, stage: str, *, is_glance: bool = False) -> Part | None:
    """Return the story of what serves on a stage; None if there is no such stage.

    At a glance, the `events` of a release are None if the newest entries of the timeline do not reach it.
    """
    found = releasing.find_stage(cloud, pipeline, stage)
    if found is None:
        return None
    live = deploying.find_deployment(cloud, pipeline, stage, found.live)
    shown = next(each for each in stages.stages(cloud, pipeline) if each["stage"] == stage)
    head = {
        "pipeline": pipeline,
        "stage": stage,
        "endpoint_name": found.endpoint_name,
        "is_batch": shown["is_batch"],
        "releasing": found.releasing,
        "deviation": shown["deviation"],
        "hold": shown["hold"],
    }
    if live is None:
        return {**head, "serves": None, "retired": found.retired}
    run = building.find_run(cloud, pipeline, live.run_id) if live.run_id else None
    said = Timeline.of(cloud, live, looks_back=not is_glance)
    deployed = _deployments(cloud, live)
    return {
        **head,
        "serves": _serves(cloud, live, deployed),
        **(_origin(cloud, run) if run else dict.fromkeys(("data", "run", "candidates", "gates"))),
        "approvals": _approvals(cloud, live.package_arn),
        "releases": _releases(cloud, live, deployed, said),
        "since": _since(cloud, live, said),
    }


def _serves(cloud: Cloud, live: Deployment, deployed: Sequence[Deployment]) -> Part:
    """Return what serves; one that came back as the known good outlived an earlier bake."""
    of_version = [each for each in deployed if each.stage == live.stage and each.model == live.model]
    return {
        "model": models.model_name(cloud, live.pipeline, live.package_arn),
        "version": live.package_version,
        "arn": live.package_arn,
        "release_id": live.release_id,
        "promoted_at": live.promoted_at,
        "bake_until": live.bake_until,
        "has_outlived_bake": live.outlived_its_bake(cloud.now()),
        "is_known_good": any(each.outlived_its_bake(cloud.now()) for each in (live, *of_version)),
        "replaces": live.replaces,
    }


def _origin(cloud: Cloud, run: Run) -> Part:
    """Return what the version was made of, and how it was judged."""
    steps = building.find_steps(cloud, run.run_id)
    return {
        "data": _data(cloud, run),
        "run": _run(cloud, run),
        "candidates": _candidates(cloud, run, steps),
        "gates": _gates(steps),
    }


def _data(cloud: Cloud, run: Run) -> Part | None:
    key = keys.dataset_key(run.pipeline, run.dataset_version) if run.dataset_version else None
    item = cloud.catalog.get(key) if key else None
    if item is None:
        return None
    found = Dataset.of(item)
    report = _report(cloud, found.report_uri)
    violations = report.get("violations", ())
    return {
        "version": found.version,
        "created_at": found.created_at,
        "objects": found.objects,
        "rows": found.rows,
        "size_bytes": found.size_bytes,
        "changes": dict(run.data_changes or {}),
        "checks": report.get("checks"),
        "warnings": len(violations) if report else None,
        "report_uri": found.report_uri,
    }


def _report(cloud: Cloud, uri: str | None) -> Part:
    try:
        return dict(json.loads(cloud.objects.read(uri))) if uri else {}
    except FileNotFoundError:
        return {}


def _run(cloud: Cloud, run: Run) -> Part:
    item = cloud.catalog.get(keys.project_key(run.pipeline, run.project_version)) or {}
    return {
        "run_id": run.run_id,
        "cause": run.cause,
        "actor": run.actor,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "cost_usd": run.cost_usd,
        "overrides": dict(run.overrides or {}),
        "project_version": run.project_version,
        "source": item.get("source"),
        "pushed_by": item.get("pushed_by"),
    }


def _candidates(cloud: Cloud, run: Run, steps: list[Step]) -> Part | None:
    chosen = candidates.chosen_step(steps)
    if chosen is None:
        return None
    if run.runs_pipeline:
        # A pipeline of SageMaker has no candidates beside the model that it registered.
        return {**candidates.judged(cloud, run, steps), "chosen": chosen, "objective": None, "all": []}
    found = candidates.leaderboard(cloud, run)
    kept = ("step", "rank", "value", "parameters", "is_chosen", "problem")
    return {
        "chosen": chosen,
        "why": found["why"],
        "objective": found["objective"],
        "evaluation": found["evaluation"],
        "champion": found["champion"],
        "all": [{name: row[name] for name in kept} for row in found["candidates"]],
    }


def _gates(steps: list[Step]) -> list[Part] | None:
    judged = next((step for step in steps if step.step == names.GATES), None)
    return None if judged is None else [dict(each) for each in judged.detail or ()]


def _approvals(cloud: Cloud, arn: str) -> list[Part]:
    """Return the decisions about a version, oldest first."""
    newest = cloud.catalog.query(
        keys.package_partition(arn), keys.APPROVALS, newest_first=True, limit=DECISIONS
    )
    found = [Approval.of(item) for item in reversed(newest)]
    return [
        {
            "status": each.status,
            "approver": each.approver,
            "reason": each.reason,
            "decided_at": each.decided_at,
            "valid_until": each.valid_until,
            "identity": each.identity,
            "manifest_sha256": each.manifest_sha256,
        }
        for each in found
    ]


def _releases(cloud: Cloud, live: Deployment, deployed: Sequence[Deployment], said: Timeline) -> list[Part]:
    """Return the releases of the version, to every stage, in order of time, with what happened in each."""
    found = dict[str, list[Deployment]]()
    for deployment in deployed:
        if deployment.is_of(live.package_arn, live.run_id):
            found.setdefault(deployment.release_id, []).append(deployment)
    # A rollback to the version is named for the one that it took back.
    found.setdefault(live.release_id, [live])
    told = [_release(cloud, live.pipeline, release_id, each, said) for release_id, each in found.items()]
    return sorted(told, key=lambda each: str(each["started_at"]))


def _deployments(cloud: Cloud, live: Deployment) -> list[Deployment]:
    """Return what releases put where of a package: by its notes, in an older stack by the releases' names."""
    stages, partition = releasing.find_stages(cloud, live.pipeline), keys.partition(live.pipeline)
    noted = noted_releases(cloud, live.package_arn)
    if live.release_id in noted:
        wanted = [keys.deployment_key(live.pipeline, stage.name, each) for each in noted for stage in stages]
        return [Deployment.of(item) for item in cloud.catalog.get_all(wanted) if item]
    of_version = names.releases_of(live.pipeline, live.package_version)
    prefixes = [keys.deployments_of(stage.name) + of_version for stage in stages]
    return [Deployment.of(item) for prefix in prefixes for item in cloud.catalog.query(partition, prefix)]


def noted_releases(cloud: Cloud, arn: str) -> list[str]:
    """Return the ids of the releases that put a package somewhere, as far as they were noted beside it."""
    noted = cloud.catalog.query(keys.package_partition(arn), keys.RELEASES)
    return [keys.release_id_of(item) for item in noted]


def _release(
    cloud: Cloud, pipeline: str, release_id: str, deployments: list[Deployment], said: Timeline
) -> Part:
    release = releasing.find_release(cloud, pipeline, release_id)
    return {
        "release_id": release_id,
        "cause": release.cause if release else None,
        "is_rollback": release.is_rollback if release else None,
        "actor": release.actor if release else None,
        "status": release.status if release else None,
        "reasons": list(release.reasons) if release else [],
        "started_at": release.started_at if release else None,
        "ended_at": release.ended_at if release else None,
        "stages": [_shift(cloud, each) for each in deployments],
        "events": _events(cloud, release, said) if release else [],
    }


def _events(cloud: Cloud, release: Release, said: Timeline) -> list[Part] | None:
    """Return what happened to a release while it was under way, oldest first; None if nobody looked."""
    since, until = release.started_at, release.ended_at or _EVER
    if not said.has(since) and not said.looks_back:
        return None
    if not said.has(since):
        found = timeline.entries_of(cloud, release.pipeline, release.release_id, since, until)
        return [_event(entry) for entry in found]
    own = [each for each in said.entries if each["subject"] == release.release_id]
    return [_event(each) for each in own if since <= each["at"] <= until]


def _shift(cloud: Cloud, deployment: Deployment) -> Part:
    """Say how traffic moved to a version on a stage, and what became of it there."""
    traffic = _traffic(cloud, deployment)
    return {
        "stage": deployment.stage,
        "status": deployment.status,
        "promoted_at": deployment.promoted_at,
        "bake_until": deployment.bake_until,
        "ended_at": deployment.ended_at,
        "traffic": traffic,
    }


def _traffic(cloud: Cloud, deployment: Deployment) -> Part | None:
    """Return how the version's project says that traffic moves to it; None if that is gone."""
    config = releasing.live_config(cloud, deployment)
    listed = config.release.stages if config else ()
    moves = next((each.traffic for each in listed if each.name == deployment.stage), None)
    return None if moves is None else {"type": moves.type, "percent": moves.percent, "bake_s": moves.bake_s}


def _since(cloud: Cloud, live: Deployment, said: Timeline) -> Part:
    """Return what came of the version since it serves: monitoring, alarms, rollbacks, deviations."""
    watch = watched.find_watch(cloud, live.pipeline, live.stage)
    windows = [Window.of(item) for item in _read(cloud, live, watch.recent if watch else (), labels=False)]
    labels = [
        LabelWindow.of(item) for item in _read(cloud, live, watch.recent_labels if watch else (), labels=True)
    ]
    return {
        "windows": _together([_window(each) for each in windows if each.release_id == live.release_id]),
        "labels": _together([_labels(each) for each in labels if each.release_id == live.release_id]),
        "events": _told_together(_events_since(cloud, live, said)),
    }


def _together(windows: Sequence[Part]) -> list[Part]:
    """Join windows that follow each other, newest first, with one verdict; `windows` says how many they are.

    A minute's windows would be all that is seen. Numbers are added up, reasons are those of the newest.
    """
    found = []
    for _, group in groupby(windows, lambda each: (each["status"], each.get("is_final"))):
        newest, *older = group
        oldest = older[-1] if older else newest
        added = {
            name: sum(each[name] for each in (newest, *older) if each[name] is not None)
            for name in ("rows", "labelled")
            if newest.get(name) is not None
        }
        found.append({**newest, **added, "start": oldest["start"], "windows": 1 + len(older)})
    return found


def _told_together(events: Sequence[Part]) -> list[Part]:
    """Join what monitoring said again and again: the first time, what was said last, `times` and `until`."""
    found = list[Part]()
    for name, group in groupby(events, lambda each: each["event"]):
        first, *later = group
        if not later or name not in _REPEATED:
            found += (first, *later)
        else:
            last = later[-1]
            found.append({**last, "at": first["at"], "until": last["at"], "times": 1 + len(later)})
    return found


def _read(cloud: Cloud, live: Deployment, starts: Sequence[str] | None, *, labels: bool) -> list[Part]:
    """Return the newest windows of a stage, by their starts; where those were not noted, by a query."""
    if starts is not None:
        key = keys.label_window_key if labels else keys.window_key
        found = cloud.catalog.get_all([key(live.pipeline, live.stage, start) for start in starts])
        return [item for item in found if item]
    prefix = keys.label_windows_of(live.stage) if labels else keys.windows_of(live.stage)
    return cloud.catalog.query(keys.partition(live.pipeline), prefix, newest_first=True, limit=WINDOWS)


def _window(window: Window) -> Part:
    return {
        "start": window.start,
        "end": window.ends_at,
        "status": window.status,
        "rows": window.rows,
        "reasons": {concern: list(found) for concern, found in (window.reasons or {}).items()},
        "report_uri": f"{window.folder_uri}report.html" if window.folder_uri else None,
    }


def _labels(window: LabelWindow) -> Part:
    return {
        "start": window.start,
        "end": window.ends_at,
        "status": window.status,
        "is_final": window.is_final,
        "labelled": window.labelled,
        "reasons": list(window.reasons),
    }


def _events_since(cloud: Cloud, live: Deployment, said: Timeline) -> list[Part]:
    """Return what the newest entries of the timeline say of the version since its release, oldest first.

    That data were deleted is told too: it was made of what was there.
    """
    release = releasing.find_release(cloud, live.pipeline, live.release_id)
    since = (release.ended_at if release else None) or str(live.promoted_at)
    of_version = names.releases_of(live.pipeline, live.package_version)

    def is_about(entry: Mapping[str, Any]) -> bool:
        if entry["event"] == timeline.DATA_DELETED:
            return True
        if entry["subject"] == live.release_id and entry["at"] <= since:
            return False
        return any(
            word == live.release_id or word.startswith(of_version) for word in entry["subject"].split()
        )

    return [_event(entry) for entry in said.entries if entry["at"] >= since and is_about(entry)]


def _event(entry: Mapping[str, Any]) -> Part:
    told = {name: entry.get(name) for name in ("at", "event", "detail", "actor")}
    return told | {"detail": entry["subject"]} if entry["event"] == timeline.DATA_DELETED else told
