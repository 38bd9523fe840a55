"""`sluice recall`: take an object out of what models learn from, and have one built without it."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sluice.catalog import keys
from sluice.catalog.records.recalls import Recall
from sluice.domain import wording
from sluice.services.views import recalls as views
from sluice_cli import bus, lookup, waiting
from sluice_cli.build_commands import RUN_EXITS, follow_run
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, Reason, Wait, example, show
from sluice_cli.output import err, escape, hint, out, print_table, short
from sluice_cli.run_page import print_run
from sluice_cli.target import Target

recall_app = typer.Typer()
_ANSWER_S = 120


@recall_app.command(epilog=example("sluice recall reviews-sentiment/part-7.csv -m 'consent withdrawn'"))
def recall(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The object's key, with the pipeline's folder.")],
    reason: Reason = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell which live models were trained with it.")
    ] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Recall an object: name the live models that were trained with it, and build one without it.

    It holds for all its versions, for the same bytes under other keys, and when they are uploaded again. The
    next model waits for a person's approval, whatever the project says. What serves stays until then.
    `sluice data release` takes a recall back.

    With --wait it exits with 1 if the run failed, and with 3 if the data or the model were rejected.
    """
    target = context.obj.target()
    pipeline, key = lookup.the_object(target, key)
    contents = views.contents(target.cloud, pipeline, key)
    if not contents:
        raise CommandError(
            f"{key} was never part of any data: no version of it was of use",
            hint=f"`sluice data list {pipeline} --quarantined` says why.",
            exit_code=EXIT_USAGE,
        )
    with err.status("looking at what serves"):
        trained = views.live_models(target.cloud, key, contents)
    result: dict[str, Any] = {"pipeline": pipeline, "key": key, "contents": contents, "live_models": trained}
    before = _before(target, pipeline, contents)
    result["recalled_before"] = asdict(before) if before else None
    if dry_run:
        show(result, as_json, lambda: _print_found(key, trained, before))
        if not as_json:
            again = " again" if before else ""
            hint(f"next: the same without --dry-run recalls it{again}, and builds a model without it")
        return
    concerned = sorted({pipeline, *(row["pipeline"] for row in trained if row["objects"])})
    known = waiting.run_ids(target, pipeline)
    with err.status("recalling"):
        why = reason or (before.reason if before else "")
        result["recalled"] = [_recall(target, each, result, why) for each in concerned]
    if wait:
        result["run"] = follow_run(target, pipeline, known, timeout_s=3600)

    def text() -> None:
        _print_found(key, trained, before)
        out.print(f"[green]recalled[/] {escape(key)}: no later data set of {', '.join(concerned)} has it")
        if wait:
            print_run(result["run"])
        if not wait:
            hint(f"next: `sluice status {pipeline}` shows the build without it; its model waits for you")
        elif not result["run"].get("model"):
            out.print(
                "no model was built without it: what serves stays, and `sluice status` shows the recall"
            )

    show(result, as_json, text)
    if wait and (code := RUN_EXITS.get(result["run"]["status"])):
        raise typer.Exit(code)


def _before(target: Target, pipeline: str, contents: list[str]) -> Recall | None:
    """Return the recall that holds already, if it does for all versions."""
    items = [target.catalog.get(keys.recall_key(pipeline, sha256)) for sha256 in contents]
    found = [Recall.of(item) for item in items if item]
    return found[0] if found and len(found) == len(contents) else None


def _recall(target: Target, pipeline: str, found: dict[str, Any], reason: str) -> dict[str, str]:
    request_id = uuid.uuid4().hex
    detail = {
        "stack": target.stack,
        "pipeline": pipeline,
        "key": found["key"],
        "contents": found["contents"],
        "request_id": request_id,
        "actor": target.call("sts", "get_caller_identity")["Arn"],
        "reason": reason,
    }
    bus.announce(target.client("events"), "DataRecallRequested", detail)

    def look() -> bool | None:
        items = [target.catalog.get(keys.recall_key(pipeline, sha256)) for sha256 in found["contents"]]
        noted = [Recall.of(item) for item in items if item]
        done = [each for each in noted if each.request_id == request_id and each.done_at]
        return True if len(done) == len(items) else None

    what = "the stack to answer (`sluice logs --function recall_data` shows why)"
    waiting.until(look, timeout_s=_ANSWER_S, what=what, otherwise=waiting.ASK_AGAIN)
    return {"pipeline": pipeline, "request_id": request_id}


def _print_found(key: str, trained: list[dict[str, Any]], before: Recall | None) -> None:
    _print_trained(key, trained)
    if before:
        because = f": {before.reason}" if before.reason else ""
        out.print(escape(f"it was recalled before, at {before.at} by {before.actor}{because}"))


def _print_trained(key: str, trained: list[dict[str, Any]]) -> None:
    print_table(
        ("live model", "stage", "run", "data set", "trained with"),
        (
            (
                row["model"],
                row["stage"],
                row.get("run_id"),
                short(row.get("dataset_version")),
                row["problem"] or _told(row),
            )
            for row in trained
        ),
        empty=f"no model that serves was trained with {key}",
    )


def _told(row: dict[str, Any]) -> str:
    first = row["objects"][0]
    more = row["objects_total"] - 1
    others = f" and {wording.count(more, 'other object')}" if more else ""
    return f"{first['key']}, version {first['version_id']}{others}"
