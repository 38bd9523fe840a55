"""The page of a run: what came of it first, then its steps, candidates and gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.console import drawings, words
from sluice.console.drawings import Axis, Node
from sluice.console.pages import links
from sluice.console.pages.frame import of_pipeline
from sluice.console.rendering import Page
from sluice.domain import wording
from sluice.domain.build import gate_report
from sluice.domain.times import from_iso
from sluice.quality.report.gate_views import SLICES_SHOWN, gate_views

_VERDICTS = {
    "registered": ("good", "Registered"),
    "rejected": ("warn", "Rejected: not good enough"),
    "data_rejected": ("warn", "The data were rejected"),
    "failed": ("bad", "Failed"),
    "stopped": ("warn", "Stopped"),
    "skipped": ("", "Skipped"),
    "reproduced": ("good", "Reproduced"),
    "differed": ("warn", "Reproduced with differences"),
    "running": ("busy", "Running"),
}
_TONES = {"done": "good", "failed": "bad", "running": "busy", "waiting": ""}
_RETRIED = ("failed", "stopped")


def page(view: Mapping[str, Any], now: float) -> Page:
    """Show a run as `views.run_pages.page` returns it; `now` is in seconds since 1970."""
    run_id, pipeline = view["run_id"], view["pipeline"]
    tone, verdict = _VERDICTS.get(view["status"], ("", words.status(view["status"])))
    board = view["leaderboard"]
    document = view["gates"]
    return of_pipeline(
        pipeline,
        "Runs",
        title=run_id,
        template="run.html.j2",
        view=view,
        values={
            "run": view,
            "tone": tone,
            "verdict": verdict,
            "failing": _failing(view),
            "took_s": _took(view, now),
            "graph": drawings.graph(_columns(view)),
            "gantt": drawings.spans([_span(step, now) for step in view["steps"]], now),
            "board": board,
            "plot": _plot(board) if board else None,
            "gates": gate_views(document),
            "slices_shown": SLICES_SHOWN,
            "is_running": view["status"] == "running",
            "can_retry": view["status"] in _RETRIED,
        },
        command=f"run {run_id}",
        trail=((run_id, links.run(run_id)),),
        is_live=view["status"] == "running",
    )  # fmt: skip


def _took(view: Mapping[str, Any], now: float) -> float | None:
    began = _seconds(view.get("started_at"))
    ended = _seconds(view.get("ended_at"))
    return None if began is None else (now if ended is None else ended) - began


def _seconds(iso: Any) -> float | None:
    return from_iso(iso).timestamp() if iso else None


def _failing(view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the step whose end ended the run, which is told first of all."""
    if view["status"] != "failed":
        return None
    failed = [step for step in view["steps"] if step.get("status") == "Failed" and step.get("failure_reason")]
    return max(failed, key=lambda step: str(step.get("ended_at") or ""), default=None)


def _columns(view: Mapping[str, Any]) -> list[list[Node]]:
    steps = {step["step"]: step for step in view["steps"]}
    chosen = (view.get("selected") or {}).get("step")
    columns = []
    for stage in view["graph"]:
        mine = [steps[name] for name in stage["steps"]]
        if mine:
            columns.append([_node(step, view, is_chosen=step["step"] == chosen) for step in mine])
        else:
            columns.append(
                [Node(stage["name"], _about(stage, view), _TONES[stage["state"]], link=_place(stage, view))]
            )
    return columns  # fmt: skip


def _about(stage: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    if stage["name"] == "data" and view.get("dataset_version"):
        return words.short(view["dataset_version"])
    if stage["name"] == "validate" and stage["state"] == "running" and view.get("known_objects"):
        return f"{words.count_of(view['known_objects'], 'object')} read"
    if stage["name"] == "packages":
        seconds = stage.get("so_far_s") or stage.get("took_s")
        return words.took(seconds) if seconds else str(stage["state"])
    return str(stage["state"])


def _place(stage: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Return where a stage without steps is shown."""
    version = view.get("dataset_version")
    if stage["name"] not in ("data", "validate") or not version:
        return ""
    return links.pipeline(view["pipeline"], "data", version)


def _node(step: Mapping[str, Any], view: Mapping[str, Any], *, is_chosen: bool) -> Node:
    status = str(step.get("status") or "")
    said = ["cached" if step.get("cached") else words.status(status).lower()]
    if step.get("took_s") is not None and not step.get("cached") and step.get("job_name"):
        said.append(words.took(step["took_s"]))
    elif step.get("so_far_s"):
        said.append(words.took(step["so_far_s"]))
    if step.get("cost_usd"):
        said.append(words.money(step["cost_usd"]))
    if status == "Completed" and len(said) > 1:
        said = said[1:]
    if gate_report.refuses(step):
        status, said = "Failed", ["not passed"]
    name = _brief(step["step"]) + (" ★" if is_chosen else "")
    link = links.run(view["run_id"], "logs", step["step"]) if step.get("job_name") else ""
    return Node(name, " · ".join(said), words.tone(status), step["step"], link)


def _brief(step: str) -> str:
    """Return the name of a step as a box has room for it."""
    return step.replace("evaluate-", "eval ")


def _span(step: Mapping[str, Any], now: float) -> tuple[str, str, str, float | None, float | None, str]:
    began, ended = _seconds(step.get("started_at")), _seconds(step.get("ended_at"))
    if step.get("cached"):
        took = "cached"
    else:
        took_s = step.get("took_s")
        took = words.took(took_s)
        # On Lambda it took its cold start too, before the script began.
        began = began if ended is None or took_s is None else ended - took_s
    return step["step"], took, words.tone(step.get("status")), began, ended, ""


def _plot(board: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Draw candidates by what they differ in; None if there is nothing to compare."""
    rows = [row for row in board["candidates"] if row["value"] is not None]
    names = board["parameters"]
    if len(rows) < 2 or not names:
        return None
    objective = Axis.over(board["objective"], [row["value"] for row in rows])
    if len(names) == 1:
        axis = Axis.over(names[0], [row["parameters"].get(names[0]) for row in rows])
        dots = [
            (row["parameters"].get(names[0]), row["value"], _said(row, board), row["is_chosen"])
            for row in rows
        ]
        return {"kind": "scatter", "drawn": drawings.scatter(axis, objective, dots)}  # fmt: skip
    axes = [Axis.over(name, [row["parameters"].get(name) for row in rows]) for name in names] + [objective]
    lines = [
        ({**row["parameters"], board["objective"]: row["value"]}, _said(row, board), row["is_chosen"])
        for row in rows
    ]
    return {"kind": "parallel", "drawn": drawings.parallel(axes, lines)}


def _said(row: Mapping[str, Any], board: Mapping[str, Any]) -> str:
    value = wording.number(row["value"])
    return f"{row['step']}: {board['objective']} {value} ({wording.assigned(row['parameters'])})"


def log_page(view: Mapping[str, Any]) -> Page:
    """Show what a step's script wrote, the end of it; while it runs, as it comes."""
    run_id, pipeline, step = view["run_id"], view["pipeline"], view["step"]
    return of_pipeline(
        pipeline,
        "Runs",
        title=f"Log of {step}",
        template="log.html.j2",
        view=view,
        values={"log": view},
        command=f"logs {run_id} {step}",
        trail=(
            (run_id, links.run(run_id)),
            (step, links.run(run_id, "logs", step)),
        ),
        is_live=view["ended_at"] is None,
    )


def list_page(view: Mapping[str, Any], now: float) -> Page:
    """Show a pipeline's runs, newest first, with their times on one axis; two or more can be compared."""
    pipeline, rows = view["pipeline"], view["runs"]
    return of_pipeline(
        pipeline,
        "Runs",
        title=f"Runs of {pipeline}",
        template="runs.html.j2",
        view=view,
        values={
            **view,
            "statuses": [*_VERDICTS],
            "gantt": drawings.spans([_run_span(row, now) for row in reversed(rows)], now),
        },
        command=f"runs {pipeline}",
        is_live=any(row["status"] == "running" for row in rows),
    )


def _run_span(row: Mapping[str, Any], now: float) -> tuple[str, str, str, float | None, float | None, str]:
    began, ended = _seconds(row.get("started_at")), _seconds(row.get("ended_at"))
    took = words.took(None if began is None else (now if ended is None else ended) - began)
    return (
        row["run_id"].rpartition("-")[2],
        took,
        words.tone(row["status"]),
        began,
        ended,
        links.run(row["run_id"]),
    )


def spans_of(rows: Sequence[Mapping[str, Any]], now: float) -> drawings.Spans:
    """Return runs, newest first, as bars of one time line, oldest first."""
    return drawings.spans([_run_span(row, now) for row in reversed(rows)], now)
