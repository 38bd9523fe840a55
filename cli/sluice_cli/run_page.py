"""Print a run for people: its graph of steps, what was chosen and why, and what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from sluice.catalog.records.releases import PENDING
from sluice.domain import failures, names, wording
from sluice.domain.build import step_cache
from sluice_cli.output import STATUS_STYLES, escape, hint, metric, out, print_table, short, since, took
from sluice_cli.reasons import way_on

# A run's reason quotes at least this many characters of its step's.
_TOLD = 200
# A gate's reason of so many characters is printed once.
_REPEATED = 40
_MARKS = {"done": "✔", "failed": "✘", "running": "▸", "waiting": "·"}
_STYLES = {"done": "green", "failed": "red", "running": "cyan", "waiting": "dim"}
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_COLUMNS = ("step", "status", "took", "on", "hyperparameters", "metrics")
_BRANCHES = "├ ", "└ "


def print_run(found: dict[str, Any]) -> None:
    """Print a run, as `views.runs.run` returns it."""
    out.print(f"[bold]{found['run_id']}[/]", _status(found), since(found))
    _print_cause(found)
    print_table(*_with_values(_COLUMNS, list(_rows(found))), empty="no steps yet")
    _print_cached(found["steps"])
    _print_backends(found["steps"])
    if selected := found.get("selected"):
        out.print(f"  chosen: {escape(selected['why'])}")
    gates = _gates(found["steps"])
    print_gates(gates)
    reasons = [failures.plain(str(reason)) for reason in found.get("reasons") or []]
    told = {f"{gate['gate']}: {gate['reason']}" for gate in gates}
    for reason in reasons:
        if reason in told:
            continue
        first, *others = escape(reason).splitlines() or [""]
        out.print("\n".join([f"  [yellow]•[/] {first}", *(f"    {line}" for line in others)]))
    _print_steps(found["steps"], reasons)
    for entry in found["timeline"]:
        out.print(f"  {entry['at']}  {escape(entry['event'])}", style="dim")
    _print_next(found)


def _status(found: Mapping[str, Any]) -> Text:
    return Text(str(found["status"]), style=STATUS_STYLES.get(str(found["status"]), ""))


def _print_cause(found: Mapping[str, Any]) -> None:
    """Print why the run was started, by whom, and what it was given in place of the project's values."""
    if cause := found.get("cause"):
        actor = f", by {found['actor']}" if found.get("actor") else ""
        out.print(f"  cause: {escape(str(cause) + actor)}")
    if changes := found.get("data_changes"):
        out.print(f"  data: {wording.changes(changes)}")
    for path, value in (found.get("overrides") or {}).items():
        out.print(f"  {escape(path)} = {escape(wording.written(value))}")


def _with_values(
    columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> tuple[list[str], list[list[object]]]:
    """Leave out the columns that no row has a value in, as a run has that started no job."""
    kept = [i for i, _ in enumerate(columns) if any(row[i] for row in rows)]
    return [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _rows(found: Mapping[str, Any]) -> Any:
    """Yield the graph as rows: a stage, and beneath it its steps where they run beside each other."""
    steps = {step["step"]: step for step in found["steps"]}
    for stage in found.get("graph") or _flat(found["steps"]):
        mine = [steps[name] for name in stage["steps"]]
        mark = Text(f"{_MARKS[stage['state']]} ", style=_STYLES[stage["state"]])
        if len(mine) == 1 and mine[0]["step"] == stage["name"]:
            yield _row(mark + Text(stage["name"]), mine[0], found)
            continue
        yield (mark + Text(stage["name"]), *_about(stage, found), _took(stage), "", "", "")
        for index, step in enumerate(mine):
            branch = _BRANCHES[index == len(mine) - 1]
            yield _row(Text(f"  {branch}{step['step']}"), step, found)


def _flat(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a graph of steps whose order is all that is known."""
    return [{"name": step["step"], "state": "done", "steps": [step["step"]]} for step in steps]


def _about(stage: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[object]:
    """Return what a stage of no single step has in the column of statuses."""
    if stage["name"] == "data" and found.get("dataset_version"):
        return (short(found["dataset_version"]),)
    if stage["name"] == "validate" and stage["state"] == "running" and found.get("known_objects"):
        return (f"{wording.count(found['known_objects'], 'object')} read",)
    if stage["name"] in ("data", "validate", "packages"):
        return ("",)
    return (wording.count(len(stage["steps"]), "step") if stage["steps"] else "",)


def _row(name: Text, step: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[object, ...]:
    is_chosen = step["step"] == (found.get("selected") or {}).get("step")
    status = str(step.get("status", ""))
    return (
        name + Text(" ← chosen" if is_chosen else "", style="green"),
        Text("cached" if step.get("cached") else status, style=STATUS_STYLES.get(status, "")),
        _took(step),
        (step.get("backend") or "sagemaker") if step.get("job_name") else "",
        wording.assigned(step.get("hyperparameters") or {}),
        ", ".join(metric(*each) for each in (step.get("metrics") or {}).items()),
    )


def _took(each: Mapping[str, Any]) -> str:
    """Format how long a step or a stage took, or, while it is under way, has taken."""
    so_far = each.get("so_far_s")
    return took(each.get("took_s")) if so_far is None else f"{took(max(so_far, 0))} so far"


def _print_cached(steps: Sequence[Mapping[str, Any]]) -> None:
    """Print whose outputs the steps use that did the same before."""
    for step in steps:
        if cached := step.get("cached"):
            source, key = f"{cached['step']} of {cached['run_id']}", short(step.get("cache_key"))
            out.print(f"  [dim]{step['step']}: cached, {source} did the same (key {key})[/]")


def print_explained(run: Mapping[str, Any], explained: Sequence[Mapping[str, Any]]) -> None:
    """Print why each step of a run was computed; of a run without a job, how it ended."""
    print_reuse(explained)
    if explained:
        return
    if run["status"] == "running":
        out.print(f"{run['run_id']} has started no job yet")
    else:
        out.print(f"{run['run_id']} started no job: it ended as {run['status']}")


def print_reuse(explained: Sequence[Mapping[str, Any]], indent: str = "") -> None:
    """Print of each step why it was, or will be, computed, as `views.reuse` and `foresight` return it."""

    def tell(text: str) -> None:
        out.print(f"{indent}{text}")

    for each in explained:
        if each["outcome"] == "cached":
            source = f"{each['from']['step']} of {each['from']['run_id']}"
            tell(f"[green]{each['step']}[/]: cached, {source} did the same (key {short(each['key'])})")
            continue
        if each["outcome"] == "open":
            tell(f"[dim]{each['step']}[/]: not known yet, as {escape(each['why'])}")
            continue
        why = f", as {escape(each['why'])}" if each["why"] else ""
        tell(f"[cyan]{each['step']}[/]: computed{why}")
        if each.get("differences"):
            nearest = each["compared_with"]
            tell(f"  unlike {nearest['step']} of {nearest['run_id']}:")
        for changed in each.get("differences", ()):
            before, now = (_told(changed[when], changed["part"]) for when in ("before", "now"))
            tell(f"    {escape(changed['part'])}: {escape(before)} → {escape(now)}")


def _told(value: str | None, part: str) -> str:
    """Format a part of a step; of a digest its first digits do."""
    if value is None:
        return "those of the image" if part == step_cache.PACKAGES else "none"
    return _DIGEST.sub(lambda found: short(found[0]), value)


def _gates(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return how the run's gates were judged; none before that."""
    return [gate for step in steps if step["step"] == names.GATES for gate in step.get("detail") or ()]


def print_gates(gates: Sequence[Mapping[str, Any]]) -> None:
    """Print of each gate whether it passed, and why; what passed for lack of a comparison is yellow."""
    told = set[str]()
    for gate in gates:
        style = "yellow" if gate.get("uncompared") else "green"
        mark = f"[{style}]✔[/]" if gate["passed"] else "[red]✘[/]"
        reason = str(gate["reason"])
        # What keeps all predictions from being read fails many gates, in as many lines.
        said = "as above" if reason in told and len(reason) > _REPEATED else reason
        told.add(reason)
        out.print(f"  {mark} {escape(str(gate['gate']))}: {escape(said)}")
        if gate.get("note"):
            out.print(f"    [yellow]note[/]: {escape(str(gate['note']))}")


def _print_backends(steps: Sequence[Mapping[str, Any]]) -> None:
    """Print why jobs ran where they did, the steps with the same reason together."""
    same: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        if why := step.get("backend_reason"):
            same.setdefault((str(step.get("backend", "sagemaker")), str(why)), []).append(step["step"])
    for (backend, why), alike in same.items():
        out.print(f"  [dim]on {backend}: {escape(why.removeprefix(f'{backend}: '))} ({', '.join(alike)})[/]")


def _print_next(found: Mapping[str, Any]) -> None:
    run_id, pipeline, status = found["run_id"], found["pipeline"], found["status"]
    with_tails = [step for step in found["steps"] if step.get("log_tail")]
    # Last those that only left a process behind, which ended no run.
    with_tails.sort(key=lambda step: bool(step.get("left_behind")) and not step.get("failure_reason"))
    if why := found.get("model_waits_because"):
        out.print(f"  [yellow]{found['model']} waits[/]: {escape(why)}")
    if overtaken := found.get("model_overtaken"):
        out.print(f"  [yellow]note[/]: {found['model']} was {escape(overtaken)}")
    if recalled := found.get("model_recalled"):
        out.print(f"  [yellow]note[/]: {found['model']} was {escape(wording.recalled(recalled))}")
    if status == "running":
        hint(f"next: `sluice logs {run_id} --follow` prints what its jobs do, `sluice stop {run_id}` ends it")
    elif found.get("model"):
        is_decided = found.get("model_status") not in (None, PENDING)
        approve = f"next: `sluice approve {found['model']}` releases it"
        hint(f"next: `sluice status {pipeline}` shows what serves" if is_decided else approve)
    elif status == "rejected" and _gates(found["steps"]):
        hint(f"next: `sluice report {run_id} --gates` draws how it was judged")
    elif status == "data_rejected":
        hint(f"next: `sluice data list {pipeline} --quarantined` shows what was set aside")
    elif with_tails:
        hint(f"next: `sluice logs {run_id} {with_tails[0]['step']}` has all that it printed")
    if way := way_on(found, pipeline):
        hint(f"next: `sluice {way[0]}` {way[1]}")


def _print_steps(steps: list[dict[str, Any]], reasons: list[str]) -> None:
    """Print reasons and log tails of steps; print a tail that several steps share only once."""
    tails: dict[tuple[str, ...], str] = {}
    for step in steps:
        _print_step(step, reasons)
        if "log_tail" not in step:
            continue
        tail = tuple(step["log_tail"])
        # One that SageMaker refused, or that would have cost too much, was never created.
        has_job = bool(step.get("job_arn") or step.get("cached")) and step.get("kind") != "pipeline_execution"
        if not tail and (failures.has_words(step.get("failure_reason") or "") or not has_job):
            continue  # there was no job to write a log
        if not tail:
            out.print(f"the log of {step['step']} is empty")
        elif (same := tails.setdefault(tail, step["step"])) != step["step"]:
            out.print(f"the log of {step['step']} ends as that of {same}")
        else:
            out.print(f"the log of {step['step']} ends:")
            for line in tail:
                out.print(f"    {escape(line)}", style="dim", soft_wrap=True)


def _print_step(step: dict[str, Any], reasons: list[str]) -> None:
    if step.get("waits_for"):
        out.print(f"[yellow]{step['step']}[/] waits: {escape(failures.plain(step['waits_for']))}")
    remark = step.get("remark") or ""
    if remark and not any(remark[:_TOLD] in reason for reason in reasons):
        out.print(f"[yellow]{step['step']}[/]: {escape(remark)}")
    if left := step.get("left_behind"):
        out.print(f"[yellow]{step['step']}[/]: {escape(left)}")
    failure = failures.plain(step.get("failure_reason") or "")
    if failure and not _is_told(step, failure, reasons):
        # The log that follows has the rest.
        said = failures.brief(failure) if step.get("log_tail") else failure
        out.print(f"[red]{step['step']}[/]: {escape(said)}")


def _is_told(step: Mapping[str, Any], failure: str, reasons: Sequence[str]) -> bool:
    """Tell whether the run's reasons and the log that is shown say all of a failure."""
    if step.get("stopped_because") and any(reason[:_TOLD] in failure for reason in reasons):
        return True
    brief = failures.brief(failure)
    is_whole = brief == " ".join(failure.split()) or bool(step.get("log_tail"))
    return is_whole and any(brief[:_TOLD] in reason for reason in reasons)
