"""Write what pages show: statuses with their tone, durations, money, and moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.domain import failures, wording

_TONES = {
    "good": "registered passed released live valid included InService Approved Completed OK done "
    "reproduced ok completed",
    "warn": "PendingManualApproval rejected refused data_rejected quarantined rolled_back stopped Stopped "
    "differed violated waiting not_enough_data not_enough_labels",
    "bad": "failed Failed Rejected ALARM missing",
    "busy": "running deploying pending InProgress Updating Creating RollingBack Waiting Starting open "
    "Stopping",
}
_TONE_OF = {status: tone for tone, listed in _TONES.items() for status in listed.split()}
_WORDS = {
    "PendingManualApproval": "awaits approval",
    "data_rejected": "data rejected",
    "rolled_back": "rolled back",
    "InService": "in service",
    "InProgress": "running",
    "Completed": "done",
    "Starting": "starting",
    "Stopping": "being stopped",
    "Failed": "failed",
    "Stopped": "stopped",
    "not_enough_data": "too few requests",
    "not_enough_labels": "too few labels",
    "no_data": "no requests",
    "ALARM": "alarm",
    "OK": "ok",
    "INSUFFICIENT_DATA": "no data",
}
# Facts that are digests, which people know by their first digits.
_DIGESTS = ("version", "project", "commit")
_SHORT_S, _MINUTE_S, _HOUR_S, _DAY_S = 0.1, 60, 3600, 86400


_UNITS = (
    (_DAY_S, "d", _HOUR_S, "h"),
    (_HOUR_S, "h", _MINUTE_S, "min"),
    (_MINUTE_S, "min", 1, "s"),
)


def tone(status: object) -> str:
    """Return the class that colours a status; its word says the same."""
    return _TONE_OF.get(str(status), "")


def status(value: object) -> str:
    return _WORDS.get(str(value), str(value))


def shorten(text: str, length: int = wording.TEXT_MAX) -> str:
    """Cut text to `length` characters; of a refusal write the sentence alone."""
    return wording.shorten(failures.plain(text), length)


def took(seconds: Any) -> str:
    """Write a duration in one or two units; a dash if it is not known."""
    if not isinstance(seconds, int | float):
        return "\u2013"
    if 0 <= seconds < _SHORT_S:
        return f"< {_SHORT_S} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, part, part_name in _UNITS:
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def person(actor: object) -> str:
    """Write the name of whoever did something: of an ARN, its last part."""
    name, mark, unverified = str(actor or "").partition(" (")
    if not name.startswith("arn:"):
        return str(actor or "")
    return f"{(name.rpartition('/')[2] or name).rpartition(':')[2]}{mark}{unverified}"


def event(name: object) -> str:
    """Write the name of an event in words; some names contain a status, such as `data_rejected`."""
    return str(name or "").replace("_", " ")


def money(usd: Any) -> str:
    """Write US dollars with two digits, or as many as a small amount needs."""
    if not isinstance(usd, int | float):
        return "\u2013"
    if usd == 0 or usd >= 0.1:
        return f"${usd:,.2f}"
    return "< $0.0001" if usd < 0.0001 else f"${usd:.2g}"


def short(digest: object) -> str:
    """Return the first 12 hex digits of a digest."""
    return str(digest or "").removeprefix("sha256:")[:12]


def metric(value: Any) -> str:
    """Write a measured value; None stands for one that was not finite."""
    if value is None:
        return "not finite"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return wording.number(value)


def facts(row: Mapping[str, Any]) -> list[str]:
    """Write the values of a row of a comparison; metrics that differ with digits that tell them apart."""
    values, subject, what = row["values"], row["subject"], row["what"]
    numbers = [value for value in values if isinstance(value, int | float)] if subject == "metrics" else []
    apart = dict(zip(numbers, wording.apart(*numbers), strict=True))
    return [apart[value] if value in numbers else _fact(value, subject, what) for value in values]


def _fact(value: Any, subject: str, what: str) -> str:
    """Write what a comparison found of a run: durations, money, sizes and digests as people read them."""
    if value is None:
        return "\u2013"
    if subject == "durations":
        return took(value)
    if subject == "cost":
        return money(value)
    if what == "size_bytes":
        return wording.size(value)
    return short(value) if what in _DIGESTS else metric(value)


def moment(iso: object) -> str:
    """Write a time in UTC, to the second."""
    text = str(iso or "")
    return f"{text[:10]} {text[11:19]} UTC" if len(text) > 18 else text


def count_of(value: float | None, noun: str) -> str:
    """Write `1 row` or `2 rows`; `unknown rows` if nobody counted."""
    return f"unknown {noun}s" if value is None else wording.count(int(value), noun)
