"""Play the whole loop on this machine, and report what came of it and what to type next."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from sluice_cli import cloud, demo_project
from sluice_cli import target as targets
from sluice_cli.acts import play
from sluice_cli.errors import CommandError
from sluice_cli.output import err, escape, out
from sluice_cli.playing import Demo, Rollback
from sluice_cli.progress import Steps
from sluice_cli.target import REPOSITORY, Target


def demo(*, keep: bool = False, quiet: bool = False, short: bool = False) -> dict[str, Any]:
    """Play the loop; returns the report and writes it to `.sluice/demo.json`."""
    home = REPOSITORY / ".sluice" if keep else REPOSITORY / ".sluice/demo"
    os.environ["SLUICE_HOME"] = str(home)
    artifacts = home / "artifacts"
    console = Console(quiet=True) if quiet else out
    steps = Steps(console)
    played: Demo | None = None
    failure: str | None = None
    page: str | None = None
    try:
        with steps.step("start the local cloud") as step:
            begin_afresh(keep=keep)
            ready = cloud.start(fresh=True)
            step.detail = ready["endpoint_url"]
        with steps.step("sam build, sam deploy") as step, cloud.deploying():
            step.say("sam build")
            cloud.build()
            step.say("sam deploy")
            cloud.deploy(ready, stack=targets.DEFAULT_STACK)
            target = targets.resolve(where="local", stack=targets.DEFAULT_STACK, profile=None, region=None)
            step.detail = f"stack {target.stack}, {len(target.outputs)} outputs"
        folder = demo_project.EXAMPLE if short else demo_project.guarded(home / "project")
        played = Demo(target, steps, folder, is_short=short)
        play(played)
        with steps.step("keep the artifacts") as step:
            step.detail = f"{download_artifacts(target, artifacts)} files in {artifacts}"
            report_html = artifacts / str(played.data_report)
            played.expect(report_html.is_file(), f"there is no {report_html}")
            page = write_gates_page(artifacts, played)
    except Exception as error:  # whatever it is, the report must tell it
        steps.failed()
        failure = f"{error} {getattr(error, 'hint', '')}".strip()
    finally:
        if not keep:
            cloud.stop()
    rollback = played.rollback if played else None
    report = {"ok": failure is None, "steps": steps.as_dicts(), **_told(played, artifacts, page, short=short)}
    report_path = REPOSITORY / ".sluice/demo.json"
    report_path.parent.mkdir(exist_ok=True)
    report_path.write_text(json.dumps(report, indent=2) + "\n")
    summarize(console, report, rollback, failure, home=home, keep=keep)
    return report


def _told(played: Demo | None, artifacts: Path, page: str | None, *, short: bool) -> dict[str, Any]:
    """Report what was played, as far as it came; `page` is where its gates are drawn."""
    rollback = played.rollback if played else None
    return {
        "versions": {"live": played and played.live_version, "previous": played and played.previous_version},
        "runs": played.runs if played else [],
        "backend": played.backend if played else {},
        "candidates": played.candidates if played else [],
        "manifest_verified": bool(played and played.manifest_verified),
        "cost_usd": played.cost_usd if played else {},
        "rollback_s": rollback and rollback.seconds,
        **({} if short else guarded(played)),
        "gate_refused": {**played.gate_refused, "page": page} if played and played.gate_refused else None,
        "data": {
            "rejected": played.rejected if played else [],
            "report": str(artifacts / played.data_report) if played and played.data_report else None,
        },
    }


def guarded(played: Demo | None) -> dict[str, Any]:
    """Report what was noticed of a model that became bad, and by whom it was taken back."""
    return {
        "canary_caught": bool(played and played.canary_caught),
        "rolled_back_after_bake_s": played and played.rollback and played.rollback.seconds,
        "rejection_rolled_back": bool(played and played.rejection_rolled_back),
        "drift_retrained": bool(played and played.drift_retrained),
        "decay_found": bool(played and played.decay_found),
    }


def begin_afresh(*, keep: bool) -> None:
    """End what an interrupted demo left running, but not what a user keeps running."""
    if targets.local_cloud() is not None and keep:
        raise CommandError("a local cloud is running already", hint="`sluice down` ends it.")
    if keep and (saved := targets.local_state_dir() / "saved").exists():
        raise CommandError(
            "there is a local cloud from before, which a demo would replace",
            hint=f"`sluice up` continues it. To do without it, remove {saved}.",
        )
    cloud.stop()


def download_artifacts(target: Target, folder: Path) -> int:
    """Download the artifact bucket's objects to a folder; returns how many there are."""
    bucket = target.outputs["ArtifactBucketName"]
    shutil.rmtree(folder, ignore_errors=True)
    listed = target.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)
    for item in listed:
        path = (folder / item["Key"]).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise CommandError(f"the object {item['Key']!r} would be written outside {folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        target.client("s3").download_file(bucket, item["Key"], str(path))
    return len(listed)


def write_gates_page(artifacts: Path, played: Demo) -> str | None:
    """Draw how the gates refused the worse model, beside their gates.json; returns the page's path."""
    from sluice.quality.report import gates_page

    if played.gate_refused is None:
        return None
    folder = artifacts / "runs" / played.pipeline / played.gate_refused["run_id"] / "gates"
    page = folder / "gates.html"
    page.write_text(gates_page.render(json.loads((folder / "gates.json").read_bytes())), encoding="utf-8")
    return str(page)


def told(rollback: Rollback | None) -> str:
    """Say which versions the timed rollback was of: later acts may have changed what serves."""
    if rollback is None:
        return ""
    return f", v{rollback.restored} served again {rollback.seconds:.1f}s after v{rollback.failed} failed"


def summarize(
    console: Console,
    report: dict[str, Any],
    rollback: Rollback | None,
    failure: str | None,
    *,
    home: Path,
    keep: bool,
) -> None:
    """Print what happened, where the results are and what to type next."""
    total = sum(step["seconds"] for step in report["steps"])
    if failure:
        err.print(f"\n[red]the demo fell short[/] after {total:.0f}s: {escape(failure)}")
        err.print(f"logs: {home}/local.log, {home}/sam-build.log, {home}/sam-deploy.log", style="dim")
        return
    console.print(f"\n[green]the loop ran[/] in {total:.0f}s: {len(report['runs'])} runs{told(rollback)}")
    console.print(f"artifacts  {home}/artifacts (data sets, run manifests, models, evaluations)")
    console.print(f"bad data   {report['data']['report']}")
    if refused := report["gate_refused"]:
        console.print(f"gates      {refused['page']}")
    console.print(f"report     {REPOSITORY}/.sluice/demo.json")
    if keep:
        console.print(
            "console    `sluice console` opens pages of it in a browser; --url prints their address"
        )
        console.print("next       `sluice status`, `sluice runs`, `sluice models`; `sluice down` ends it")
    else:
        console.print(
            "next       `make up`, then `.venv/bin/sluice init my-model` and `.venv/bin/sluice push my-model`"
        )
        console.print(
            "console    `.venv/bin/sluice console` shows what that cloud has; the demo's own has ended"
        )
