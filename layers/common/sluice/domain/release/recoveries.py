"""Decide how a stage recovers from a release that must not serve: try again, wait, or call a person."""

from __future__ import annotations

from datetime import timedelta

from sluice.catalog.records.releases import Recovery, Release, Why
from sluice.domain.times import from_iso, to_iso
from sluice.lazy import dataclass

# The numbers of the attempts that are made.
ATTEMPTS = (1, 2, 3)
# After the first attempt failed; twice as long after the second.
_WAIT = timedelta(minutes=2)
# By then an execution that was started has recorded itself, or has ended without a trace.
_UNHEARD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A rollback is to be tried now."""

    number: int


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Trying again changes nothing: a person must act."""

    why: Why
    reason: str
    at: str


def next_step(known: Recovery, last: Release | None, now: str) -> Attempt | GivenUp | None:
    """Return what to do about a release that must not serve; None while there is something to wait for.

    `last` is the newest attempt, if it recorded itself. A refusal is final: only a failure may be one of the
    moment.
    """
    if known.attempt is None:
        return Attempt(1)
    if last is None and not _is_past(known.tried_at, _UNHEARD, now):
        # Whoever claimed it may have died before the start, which can be repeated.
        return Attempt(known.attempt)
    if last is not None and last.status in ("running", "released"):
        return None
    ended_at, reasons = _end(known, last)
    if last is not None and last.status == "refused":
        return GivenUp("refused", reasons, ended_at)
    if known.attempt >= max(ATTEMPTS):
        said = f"{known.attempt} attempts failed, the last one so: {reasons}"
        return GivenUp("failed", said, ended_at)
    wait = _WAIT * 2 ** (known.attempt - 1)
    return Attempt(known.attempt + 1) if _is_past(ended_at, wait, now) else None


def command(known: Recovery) -> str:
    """Return the arguments of the command that a person who is called needs next."""
    if known.why == "refused":
        return f"models {known.pipeline}"
    return f"rollback {known.pipeline} --stage {known.stage}"


def _end(known: Recovery, last: Release | None) -> tuple[str, str]:
    if last is None:
        return str(known.tried_at), f"{known.attempt_id} ended without a trace"
    return str(last.ended_at), "; ".join(last.reasons) or f"{last.release_id} failed"


def _is_past(at: str | None, wait: timedelta, now: str) -> bool:
    return at is not None and now >= to_iso(from_iso(at) + wait)
