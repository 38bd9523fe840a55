"""The page of a model: against the champion, where it is from, and the decision with what is signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.console import drawings, words
from sluice.console.drawings import Axis, Node
from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.rendering import Page
from sluice.domain import wording
from sluice.domain.build import sources
from sluice.quality.report.gate_views import SLICES_SHOWN, gate_views

_PENDING = "PendingManualApproval"
_VERDICTS = {
    "Approved": ("good", "Approved"),
    "Rejected": ("bad", "Rejected"),
    _PENDING: ("warn", "Waits for your decision"),
}
_OBJECTS_DRAWN = 4


def page(view: Mapping[str, Any]) -> Page:
    """Show a model as `views.model_pages.page` returns it."""
    name, pipeline = view["model"], view["pipeline"]
    tone, verdict = _verdict(view)
    document = view["gates"]
    return of_pipeline(
        pipeline,
        "Models",
        title=name,
        template="model.html.j2",
        view=view,
        values={
            "model": view,
            "tone": tone,
            "verdict": verdict,
            "may_approve": view["approval_status"] == _PENDING or _waits(view),
            "signed": _signed(view),
            "source": sources.described(view["made"]["project"]["source"]) if view["made"] else "",
            "metrics": _metrics(view["measured"]),
            "gates": gate_views(document),
            "slices_shown": SLICES_SHOWN,
            "graph": drawings.graph(_columns(view)) if view["made"] else None,
        },
        command=f"lineage {name}",
        trail=((name, links.model(name)),),
    )


def _verdict(view: Mapping[str, Any]) -> tuple[str, str]:
    """Say what was decided; of what is approved also that this was not enough to release it."""
    status = view["approval_status"]
    if status == "Approved" and _waits(view):
        return "warn", "Approved, and waits for a person"
    return _VERDICTS.get(status, ("", words.status(status)))


def _waits(view: Mapping[str, Any]) -> bool:
    return any(each["what"] == "approval" for each in view["awaited"])


def _signed(view: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what an approval is bound to: what it is, its digest or name, and what that says."""
    made, signed = view["made"], view["signed"]
    if made is None:
        return []
    dataset, project, image = made["dataset"], made["project"], made["image"]
    rows = words.count_of(dataset["rows"], "row") if dataset["rows"] is not None else "unknown rows"
    found = [
        (
            "run manifest",
            signed["manifest_sha256"] or made["manifest"]["sha256"],
            "the approval is bound to this digest",
        ),
        ("model", signed["model_sha256"], "the bytes that will serve"),
        ("data set", dataset["version"], f"{words.count_of(dataset['objects'], 'object')}, {rows}"),
        ("project", project["version"], sources.described(project["source"])),
        ("image", image["digest"] or image["uri"], "what it runs in"),
    ]
    return [(what, str(digest), note) for what, digest, note in found if digest]  # fmt: skip


def _metrics(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each metric of the model beside the champion's, on an axis of their own."""
    mine, champion = measured["candidate"] or {}, measured["champion"] or {}
    rows = []
    for name, value in mine.items():
        other = champion.get(name)
        axis = Axis.over(name, [0.0, *(each for each in (value, other) if each is not None)])
        difference = None if None in (value, other) else value - other
        rows.append(
            {
                "name": name,
                "value": value,
                "champion": other,
                "difference": "" if difference is None else _signed_number(difference),
                "at": axis.part(value),
                "champion_at": axis.part(other),
            }
        )
    return rows


def _signed_number(value: float) -> str:
    return f"+{wording.number(value)}" if value > 0 else wording.number(value)


def _columns(view: Mapping[str, Any]) -> list[list[Node]]:
    """Draw where the model is from, and where it went."""
    made, pipeline = view["made"], view["pipeline"]
    dataset, run = made["dataset"], made["run"]
    version = links.pipeline(pipeline, "data", dataset["version"])
    said = words.count_of(dataset["rows"], "row")
    project = Node(words.short(made["project"]["version"]), "project", "", str(made["project"]["version"]))
    tone, status = words.tone(view["approval_status"]), words.status(view["approval_status"])
    served = [
        Node(
            each["stage"], "serves here", "good", each["endpoint_name"], links.pipeline(pipeline, "releases")
        )
        for each in made["live_on"]
    ]
    return [
        _objects(dataset),
        [Node(words.short(dataset["version"]), said, "", link=version), project],
        [_run(run)],
        [Node(f"model {view['model'].rpartition('/')[2]}", status, tone, view["model"])],
        served or [Node("no endpoint", "serves nowhere", "")],
    ]


def _objects(dataset: Mapping[str, Any]) -> list[Node]:
    shown = dataset["shown"] or ()
    nodes = [Node(each["key"].rpartition("/")[2], "object", "", each["key"]) for each in shown]
    more = (
        [Node("more", f"{wording.number(dataset['objects'])} in all", "")]
        if dataset["objects"] > _OBJECTS_DRAWN
        else []
    )
    return nodes[:_OBJECTS_DRAWN] + more


def _run(run: Mapping[str, Any]) -> Node:
    status = words.status(run["status"])
    name, link = f"run {run['run_id'].rpartition('-')[2]}", links.run(run["run_id"])
    return Node(name, status, words.tone(run["status"]), run["run_id"], link)


def list_page(view: Mapping[str, Any]) -> Page:
    """Show a pipeline's models, newest first."""
    pipeline = view["pipeline"]
    return of_pipeline(
        pipeline,
        "Models",
        title=f"Models of {pipeline}",
        template="models.html.j2",
        view=view,
        values={**view, "statuses": [*_VERDICTS]},
        command=f"models {pipeline}" + (f" --status {view['status']}" if view["status"] else ""),
    )
