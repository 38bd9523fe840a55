"""Print the story of what serves on a stage, as `views.story.why` returns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.domain import wording
from sluice.domain.money import money
from sluice_cli.leaderboard import champion_name, metric_text
from sluice_cli.moments import shown
from sluice_cli.output import age, escape, hint, invocation, lasting, metric, out, short
from sluice_cli.run_page import print_gates

Part = Mapping[str, Any]
_SHOWN = 5


def print_story(story: Part) -> None:
    """Print first what serves, then where it came from, who let it through, and what happened since."""
    stage, pipeline, serves = story["stage"], story["pipeline"], story["serves"]
    if serves is None:
        was = f" since {story['retired']} was retired" if story["retired"] else ""
        out.print(f"nothing serves on {stage}{was}")
        hint(f"next: `sluice history {pipeline} --stage {stage}` says what served before")
        return
    since = f"{shown(serves['promoted_at'])} UTC ({age(serves['promoted_at'])})"
    out.print(f"[bold]{escape(serves['model'])}[/] serves on {stage} since {since}")
    where = (
        "without an endpoint: it scores batches"
        if story["is_batch"]
        else f"endpoint {story['endpoint_name']}"
    )
    out.print(f"  release {serves['release_id']}, {where}")
    _print_state(story, serves)
    parts: tuple[tuple[str, Callable[[Any], None]], ...] = (
        ("data", _print_data),
        ("run", _print_run),
        ("candidates", _print_candidates),
        ("gates", print_gates),
        ("approvals", _print_approvals),
        ("releases", _print_releases),
        ("since", _print_since),
    )
    for name, print_part in parts:
        out.print(f"[bold]{'since then' if name == 'since' else name}[/]")
        if story[name]:
            print_part(story[name])
        else:
            out.print("  not recorded")
    hint(f"next: `sluice timeline {pipeline}` lists all that happened")


def _print_state(story: Part, serves: Part) -> None:
    if story["releasing"]:
        out.print(f"  [cyan]{story['releasing']} is under way[/]")
    if not serves["has_outlived_bake"]:
        known = "it outlived an earlier bake, so it is a known good" if serves["is_known_good"] else ""
        out.print(
            f"  it bakes until {shown(serves['bake_until'])}: {known or 'until then it is no known good'}"
        )
    if hold := story["hold"]:
        out.print(f"  [yellow]{hold['why']}[/] {lasting(hold['since'])}: {escape(hold['reason'])}")
        out.print(f"    `{invocation.command(hold['command'])}` ends that")
    if deviation := story["deviation"]:
        for fault in deviation["faults"]:
            out.print(f"  [red]the endpoint has deviated[/] {lasting(deviation['since'])}: {escape(fault)}")
        out.print(f"    `{invocation.command(deviation['commands'][0])}` puts this version back")


def _print_data(data: Part) -> None:
    rows = "an unknown number of rows" if data["rows"] is None else wording.count(data["rows"], "row")
    objects = wording.count(data["objects"], "object")
    out.print(f"  {short(data['version'])}: {rows} in {objects}, versioned {shown(data['created_at'])}")
    # Of the first data set of all, each object is new: there was none before it.
    if data["changes"] and data["changes"] != {"new": data["objects"]}:
        out.print(f"  compared with the data set before: {wording.changes(data['changes'])}")
    if data["checks"] is not None:
        warned = f", {wording.count(data['warnings'], 'warning')}" if data["warnings"] else ""
        out.print(f"  {wording.count(data['checks'], 'check')} passed{warned}")


def _print_run(run: Part) -> None:
    by = f", by {run['actor']}" if run["actor"] else ""
    cost = "" if run["cost_usd"] is None else f", {money(run['cost_usd'])}"
    when = f", {shown(run['started_at'])} to {shown(run['ended_at'])}" if run["started_at"] else ""
    out.print(f"  {run['run_id']}{when}{cost}")
    if run["cause"]:
        out.print(f"  cause: {escape(run['cause'] + by)}")
    commit = (run["source"] or {}).get("commit")
    pushed = f", pushed by {', '.join(run['pushed_by'])}" if run["pushed_by"] else ""
    at = f", commit {commit[:12]}" if commit else ""
    out.print(f"  project {short(run['project_version'])}{escape(at + pushed)}")
    for path, value in run["overrides"].items():
        out.print(f"  {escape(path)} = {escape(wording.written(value))}")


def _print_candidates(found: Part) -> None:
    for row in found["all"][:_SHOWN]:
        mark = "[green]✔[/]" if row["is_chosen"] else " "
        said = f"{found['objective']} {metric_text(row['value'])}"
        with_values = f" ({wording.assigned(row['parameters'])})" if row["parameters"] else ""
        out.print(f"  {mark} {row['step']}: {escape(said + with_values)}")
    if len(found["all"]) > _SHOWN:
        out.print(f"    and {len(found['all']) - _SHOWN} more")
    if found["why"]:
        out.print(f"  chosen: {escape(found['why'])}")
    if found["evaluation"]:
        measured = ", ".join(metric(*each) for each in found["evaluation"].items())
        out.print(f"  on the hold-out: {escape(measured)}")
    if champion := found["champion"]:
        out.print(f"  it had to beat {escape(champion_name(champion))}")


def _print_approvals(approvals: Sequence[Part]) -> None:
    for each in approvals:
        reason = f": {each['reason']}" if each["reason"] else ", no reason given"
        out.print(
            f"  {each['status']} by {escape(each['approver'])}, {shown(each['decided_at'])}{escape(reason)}"
        )


def _print_releases(releases: Sequence[Part]) -> None:
    for each in releases:
        out.print(f"  {each['release_id']}: {escape(_outcome(each))}")
        for shift in each["stages"]:
            out.print(f"    {_shift(shift)}")
        for event in each["events"]:
            out.print(f"    {_event(event)}", style="dim")


def _outcome(release: Part) -> str:
    """Say what became of a release of this version, and why; a rollback to it has the name of another."""
    status, cause, actor = release["status"], release["cause"], release["actor"]
    is_back = release["is_rollback"] or cause in ("alarm", "rejection", "rollback")
    ended = {"released": "rolled back to this version", "failed": "the rollback failed"}
    became = ended.get(status, f"the rollback is {status}") if is_back else status
    why = {
        "alarm": f"as the alarm {actor} fired" if actor else "as an alarm fired",
        "rejection": "as what served was rejected",
        "rollback": "by command",
        "approval": "by its approval",
        "command": "by command",
    }.get(cause, f"caused by {cause}")
    by = f", {actor}" if actor and cause != "alarm" else ""
    return f"{became}, {why}{by}"


def _shift(shift: Part) -> str:
    """Say how traffic moved on a stage, and how that ended."""
    traffic, status = shift["traffic"], shift["status"]
    how = {
        "canary": "canary of {percent} %, then all, {bake_s} s of bake each",
        "linear": "in steps of {percent} %, {bake_s} s of bake each",
        "all_at_once": "all at once, {bake_s} s of bake",
    }
    moved = how[traffic["type"]].format(**traffic) if traffic else "as its project said"
    ended = "" if shift["ended_at"] is None else f" {shown(shift['ended_at'])}"
    began = f", promoted {shown(shift['promoted_at'])}" if shift["promoted_at"] else ""
    return f"{shift['stage']}: {moved}{began}, {status}{ended}"


def _event(event: Part) -> str:
    detail = f": {event['detail']}" if event["detail"] else ""
    often = f" {event['times']} times until {shown(event['until'])}" if event.get("times") else ""
    return f"{shown(event['at'])} {escape(event['event'] + often + detail)}"


def _print_since(since: Part) -> None:
    windows, labels = since["windows"], since["labels"]
    for window in windows[:_SHOWN]:
        out.print(f"  requests {_span(window)}: {window['status']}{_reasons(window['reasons'])}")
    for window in labels[:_SHOWN]:
        final = "" if window["is_final"] or window["status"] == "open" else " (an estimate)"
        out.print(f"  labels {_span(window)}: {window['status']}{final}{_said(window['reasons'])}")
    for event in since["events"]:
        out.print(f"  {_event(event)}")
    if not (windows or labels or since["events"]):
        out.print("  nothing: no alarm, no rollback, no window of monitoring")


def _span(window: Part) -> str:
    """Write when a window began, or from when to when windows with one verdict were."""
    if window["windows"] == 1:
        return shown(window["start"])
    many = wording.count(window["windows"], "window")
    return f"{shown(window['start'])} to {shown(window['end'])} ({many})"


def _reasons(by_concern: Mapping[str, Sequence[str]]) -> str:
    return _said([each for found in by_concern.values() for each in found])


def _said(reasons: Sequence[str]) -> str:
    return f": {escape('; '.join(reasons))}" if reasons else ""
