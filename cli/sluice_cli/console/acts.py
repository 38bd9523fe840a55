"""What a person does on a page: each form is a command, done by its code and in the person's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sluice_cli import data_release, decisions, lookup, pinning, stage_releases, starting, stopping
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.target import Target

Form = Mapping[str, str]
Act = Callable[[Target, Form], str]


def _approve(target: Target, form: Form) -> str:
    arn = lookup.model_arn(target, form["model"])
    result = decisions.approve(target, arn, form["reason"], lambda _: None)
    return result.get("note") or f"You approved {form['model']}: its release begins in a moment."


def _reject(target: Target, form: Form) -> str:
    result = decisions.reject(target, lookup.model_arn(target, form["model"]), form["reason"])
    return result.get("note") or f"You rejected {form['model']}."


def _release(target: Target, form: Form) -> str:
    """Release an approved version to a stage that waits for a person."""
    arn = lookup.model_arn(target, form["model"])
    result = stage_releases.release_to(target, arn, form["stage"], form["reason"])
    begun = f"{form['model']} is being released to {form['stage']} ({result.get('release_id')})."
    return result.get("note") or begun


def _roll_back(target: Target, form: Form) -> str:
    """Roll back what the person saw serving, and nothing that came since."""
    pipeline, stage = lookup.the_pipeline(target, form["pipeline"]), form["stage"]
    row = lookup.stage_row(target, pipeline, stage)
    if row["live"] != form["rolls_back"]:
        serves = f"v{row['live_version']}" if row["live"] else "nothing"
        raise CommandError(f"{stage} serves {serves} by now, so nothing was rolled back")
    result = stage_releases.roll_back(target, pipeline, row, form["reason"])
    begun = f"{stage} is being rolled back from v{form['version']} ({result['release_id']})."
    return result.get("note") or begun


def _release_data(target: Target, form: Form) -> str:
    released = data_release.release(target, form["key"], form["reason"])
    return f"{released['key']} is released: the next build judges it again."


def _stop(target: Target, form: Form) -> str:
    stopping.ask(target, form["run"], form["reason"])
    return f"{form['run']} is being stopped, with its jobs."


def _retry(target: Target, form: Form) -> str:
    former = lookup.the_run(target, form["run"])
    wanted = starting.wish(target, former["pipeline"], retry_of=form["run"])
    run_id = starting.ask(target, wanted, waits=False, say=lambda _: None)
    return f"{run_id} was started: it computes only what {form['run']} had not finished."


def _pin(target: Target, form: Form) -> str:
    live, _ = pinning.keep(target, form["pipeline"], form["stage"], form["reason"], is_on=True)
    version = live["live_version"]
    return f"v{version} stays on {form['stage']}: alarms call a person, and no version replaces it."


def _let_go(target: Target, form: Form) -> str:
    live, _ = pinning.keep(target, form["pipeline"], form["stage"], form["reason"], is_on=False)
    return f"v{live['live_version']} on {form['stage']} is guarded by its alarms again."


_ACTS: Mapping[str, tuple[Act, tuple[str, ...]]] = {
    "approve": (_approve, ("model",)),
    "reject": (_reject, ("model",)),
    "release": (_release, ("model", "stage")),
    "roll-back": (_roll_back, ("pipeline", "stage", "version", "rolls_back")),
    "pin": (_pin, ("pipeline", "stage")),
    "let-go": (_let_go, ("pipeline", "stage")),
    "release-data": (_release_data, ("key",)),
    "stop": (_stop, ("run",)),
    "retry": (_retry, ("run",)),
}


def act(target: Target, name: str, form: Form) -> str:
    """Do what a form asks for; returns what to say of it. Raises CommandError."""
    if name not in _ACTS:
        raise CommandError(f"there is nothing called {name!r} to do", exit_code=EXIT_USAGE)
    doing, needed = _ACTS[name]
    if lacking := [field for field in needed if not form.get(field, "").strip()]:
        raise CommandError(f"the form lacks {', '.join(lacking)}", exit_code=EXIT_USAGE)
    return doing(target, {**form, "reason": form.get("reason", "").strip()})
