"""Changes of work that one call of a function does not finish."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.catalog import keys
from sluice.catalog.changes.base import Put, Update
from sluice.catalog.records.progress import Hashing, Sweep


def begin_hashing(begun: Hashing) -> Put:
    """Take up the digest of an object that nobody began."""
    return Put(begun.item())


def take_hashing(known: Hashing, until: str, expires_at: int) -> Update:
    """Go on with a digest, if nobody else has taken it since it was read."""
    key = keys.hashing_key(known.key, known.version_id)
    return Update(key, {"taken_until": until, "expires_at": expires_at}, {"taken_until": known.taken_until})


def record_parts(hashing: Hashing, parts: Sequence[str]) -> Update:
    return Update(keys.hashing_key(hashing.key, hashing.version_id), {"parts": list(parts)})


def leave_hashing(hashing: Hashing) -> Update:
    """Leave the rest of a digest to another call."""
    return Update(keys.hashing_key(hashing.key, hashing.version_id), {"taken_until": None})


def record_sweep(sweep: Sweep) -> Update:
    progress = {"after": sweep.after, "full_on": sweep.full_on, "is_full": sweep.is_full}
    return Update(keys.sweep_key(sweep.what), progress)


def finish_full_pass(what: str, day: str) -> Update:
    """Note that a day's full pass is done."""
    return Update(keys.sweep_key(what), {"full_on": day})
