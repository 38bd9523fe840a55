"""Make the notice of an event: what happened in one sentence, why, and what to do next."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice.catalog.records.notices import Kind, Notice, trouble_of_alarm
from sluice.domain import failures
from sluice.domain.notices.place import Place
from sluice.domain.times import from_event
from sluice.lazy import dataclass

ALARM_CHANGED = "CloudWatch Alarm State Change"
# Within the name of an alarm on a function, before the function's.
_ERRORS_OF = "_errors-of-"
# What one message shows of the reasons.
_REASON_MAX = 600
_DIGEST_HEX = 16


@dataclass(frozen=True, slots=True)
class Told:
    """What an event says, and where."""

    detail_type: str
    detail: Mapping[str, Any]
    # The event's own time: of things whose time it does not tell.
    at: str
    place: Place

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute as text: other parts of the stack may tell less than we know of."""
        found = self.detail.get(name)
        return default if found is None else str(found)

    @property
    def pipeline(self) -> str:
        return self.text("pipeline")

    @property
    def stage(self) -> str:
        return self.text("stage", "production")

    @property
    def reasons(self) -> Sequence[str]:
        found = self.detail.get("reasons") or [self.detail.get("reason") or ""]
        return [found] if isinstance(found, str) else [str(each) for each in found if each]

    @property
    def reason(self) -> str:
        said = failures.together([failures.brief(each) for each in self.reasons], _REASON_MAX)
        return failures.cut(said, _REASON_MAX)

    def when(self, *names: str) -> str:
        """Return when it happened, by the first of these attributes that is there."""
        found = next((self.detail[name] for name in names if self.detail.get(name)), None)
        return from_event(found) or str(from_event(self.at))

    def notice(self, kind: Kind, title: str, what: str, at: str, **others: Any) -> Notice:
        """Make a notice; `what` names what happened, beside its kind and time."""
        said = "\0".join((kind, self.pipeline, what, str(others.get("is_over", False))))
        digest = hashlib.sha256(said.encode()).hexdigest()[:_DIGEST_HEX]
        given = {"reason": self.reason, "pipeline": self.pipeline or None, **others}
        return Notice(f"{at}#{digest}", kind, at, title, **given)


def notice_of(told: Told) -> Notice | None:
    """Return the notice of an event; None if nobody needs to be told."""
    made = _MADE.get(told.detail_type)
    return made(told) if made else None


# ------------------------------------------------------------------------------------------------ batches


def _transform_ended(told: Told) -> Notice | None:
    """Tell of what nobody scores any more: of several inputs that failed, each is tried alone first."""
    transform, key = told.text("transform_id"), told.text("key")
    is_failed = told.text("status") == "failed"
    if told.detail.get("is_split") or not (is_failed or told.reasons):
        return None
    count = f"{key or told.text('inputs') + ' files'} {'was' if key else 'were'}"
    what = f"{count} not scored" if is_failed else f"The results of {transform} are not complete"
    words = f"batch run {told.pipeline} {key}" if is_failed and key else f"batch list {told.pipeline}"
    return told.notice(
        "batch_failed",
        f"{what}: {told.pipeline} v{told.text('package_version')} on {told.stage}.",
        transform,
        told.when("ended_at"),
        command=told.place.command(words),
        link=told.place.object(told.text("output_uri")),
    )


def _batch_refused(told: Told) -> Notice:
    """Tell of a file that was set aside before a transform."""
    key = told.text("key")
    return told.notice(
        "batch_failed",
        f"{key} was set aside, as it is not what the model of {told.pipeline} reads.",
        f"{key} {told.text('version_id')}",
        told.when("at"),
        command=told.place.command(f"batch list {told.pipeline}"),
    )


# ------------------------------------------------------------------------------------------------- builds


def _run_ended(told: Told) -> Notice | None:
    run, at, place = told.text("run_id"), told.when("ended_at"), told.place
    match told.text("status"):
        case "failed":
            command, link = place.command(f"logs {run}"), place.execution(told.text("execution_arn"))
            return told.notice("run_failed", f"{run} failed.", run, at, command=command, link=link)
        case "data_rejected":
            title = f"New data of {told.pipeline} were rejected by {run}; what serves stays as it is."
            command, link = place.command(f"report {run}"), place.object(told.text("report_uri"))
            return told.notice("data_rejected", title, run, at, command=command, link=link)
    return None


def _budget_reached(told: Told) -> Notice:
    until = told.text("until")
    title = f"Builds of {told.pipeline} wait for their budget until {until}."
    command = told.place.command(f"start {told.pipeline}")
    # The day or the month is what happens once, whenever it was noticed.
    return told.notice("budget_reached", title, until, told.when("until"), command=command)


# ----------------------------------------------------------------------------------------------- releases


def _approval_awaited(told: Told) -> Notice:
    model, stage = told.text("model"), told.text("stage")
    what = f"{model} waits to be released to {stage}." if stage else f"{model} waits for approval."
    option = f" --stage {stage}" if stage else ""
    command, link = told.place.command(f"approve {model}{option}"), told.place.object(told.text("report_uri"))
    reference = f"{told.text('package_arn')} {stage} {told.text('run_id')} {told.reason}"
    return told.notice("approval_awaited", what, reference, told.when("at"), command=command, link=link)


def _release_ended(told: Told) -> Notice | None:
    release, version = told.text("release_id"), told.text("package_version")
    # What is refused before it is planned has none.
    model = f"{told.pipeline} v{version}" if version else told.pipeline
    # What is refused may have been planned for no stage yet.
    stages = ", ".join(told.detail.get("stages") or ())
    to, on = (f" to {stages}", f" on {stages}") if stages else ("", "")
    former = told.text("replaced_version")
    since = f" from v{former}" if former else ""
    shown: dict[str, Any] = {
        "command": told.place.command(f"status {told.pipeline}"),
        "link": told.place.execution(told.text("execution_arn")),
    }
    kinds: dict[str, tuple[Kind, str]] = {
        "rolled_back": (
            "rolled_back",
            f"{told.pipeline} was rolled back{since}: {stages} serve{_s(stages)} {model}.",
        ),
        "failed": (
            "release_failed",
            f"The release of {model}{to} failed; what served before serves.",
        ),
        "refused": ("release_refused", f"The release of {model}{to} was refused."),
        "rollback_failed": ("rollback_failed", f"The rollback of {told.pipeline}{on} failed."),
        "rollback_refused": ("rollback_failed", f"The rollback of {told.pipeline}{on} was refused."),
    }
    found = kinds.get(told.text("outcome"))
    return told.notice(*found, release, told.when("ended_at"), **shown) if found else None


def _s(stages: str) -> str:
    return "" if ", " in stages else "s"


def _rollback_impossible(told: Told) -> Notice:
    where, why = f"{told.pipeline} on {told.stage}", told.text("why")
    left = why in ("held", "pinned")
    title = (
        f"{where} is not rolled back by itself: a person decides."
        if left
        else f"{where} cannot be rolled back."
    )
    return _stuck(told, "rollback_impossible", title)


def _stuck(told: Told, kind: Kind, title: str) -> Notice:
    """Tell what lasts as long as a release is live, once for each cause."""
    words = told.text("command", f"models {told.pipeline}").removeprefix("sluice ")
    what = " ".join(told.text(name) for name in ("stage", "release_id", "cause", "why"))
    return told.notice(
        kind,
        title,
        what,
        told.when("at"),
        command=told.place.command(words),
        link=told.place.endpoint(told.text("endpoint_name")),
        trouble=f"{kind} {told.pipeline} {what}",
    )


def _endpoint_deviated(told: Told) -> Notice:
    title = f"The endpoint of {told.pipeline} on {told.stage} does not serve what was released."
    return _endpoint(told, title, is_over=False)


def _endpoint_restored(told: Told) -> Notice:
    title = f"The endpoint of {told.pipeline} on {told.stage} serves again what was released."
    return _endpoint(told, title, is_over=True)


def _endpoint(told: Told, title: str, *, is_over: bool) -> Notice:
    command = told.place.command(told.text("command", f"status {told.pipeline}"))
    link = told.place.endpoint(told.text("endpoint_name"))
    at, trouble = told.when("at"), f"endpoint {told.pipeline} {told.stage}"
    shown = {"command": command, "link": link, "trouble": trouble, "is_over": is_over}
    return told.notice("endpoint_deviated", title, told.stage, at, **shown)


# --------------------------------------------------------------------------------------------- monitoring


def _monitoring_judged(told: Told) -> Notice | None:
    status = told.text("status")
    if told.detail.get("is_estimate") or status not in ("ok", "violated"):
        return None
    is_over, where = status == "ok", f"{told.pipeline} on {told.stage}"
    by_labels = told.text("judged") == "labels"
    kind: Kind = "decay" if by_labels else "drift"
    title = {
        ("decay", False): f"The model of {where} is worse by its labels than on its hold-out data.",
        ("decay", True): f"The model of {where} is as good by its labels as it should be again.",
        ("drift", False): f"What {where} is asked or answers is not what its model was trained for.",
        ("drift", True): f"What {where} is asked and answers is as it should be again.",
    }[kind, is_over]
    command = told.place.command(f"monitor show {told.pipeline} --stage {told.stage}")
    return told.notice(
        kind,
        title,
        f"{told.stage} {told.text('release_id')} {told.text('start')}",
        told.when("end"),
        command=command,
        link=told.place.object(told.text("report_uri")),
        trouble=f"{kind} {told.pipeline} {told.stage} {told.text('release_id')}",
        is_over=is_over,
    )


# ----------------------------------------------------------------------------------- the stack's own alarms


def _alarm_changed(told: Told) -> Notice | None:
    name, state = told.text("alarmName"), told.detail.get("state") or {}
    value = state.get("value")
    if value not in ("ALARM", "OK"):
        return None
    said = str((told.detail.get("configuration") or {}).get("description") or name)
    # The template writes each as "<what is wrong> Next: <the command>", but for functions, which are many.
    what, _, words = said.partition(" Next: ")
    what, words, is_over = what.rstrip(". "), told.place.shortest(words), value == "OK"
    if function := name.partition(_ERRORS_OF)[2]:
        what, words = f"{function} has failed for a quarter of an hour", f"logs --function {function}"
        words = told.place.command(words)
    return told.notice(
        "dead_letters" if "dead-letters" in name else "alarm",
        f"Over: {what[:1].lower()}{what[1:]}." if is_over else f"{what}.",
        name,
        str(from_event(state.get("timestamp")) or told.when()),
        reason=failures.cut(str(state.get("reason", "")), _REASON_MAX),
        command=None if is_over else words or told.place.command("status"),
        link=told.place.alarm(name),
        trouble=trouble_of_alarm(name),
        is_over=is_over,
    )


def _tested(told: Told) -> Notice:
    title = f"This is a test of how {told.place.stack} tells people."
    command, request = told.place.command("notify list"), told.text("request_id")
    return told.notice("test", title, request, told.when("at"), command=command)


_MADE: Mapping[str, Callable[[Told], Notice | None]] = {
    "RunEnded": _run_ended,
    "TransformEnded": _transform_ended,
    "BatchRefused": _batch_refused,
    "BudgetReached": _budget_reached,
    "ApprovalAwaited": _approval_awaited,
    "ReleaseEnded": _release_ended,
    "RollbackImpossible": _rollback_impossible,
    "EndpointDeviated": _endpoint_deviated,
    "EndpointRestored": _endpoint_restored,
    "MonitoringJudged": _monitoring_judged,
    ALARM_CHANGED: _alarm_changed,
    "NoticeTested": _tested,
}
