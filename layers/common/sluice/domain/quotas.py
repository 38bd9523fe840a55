"""Read SageMaker's refusals for an account's quotas, and tell whether waiting can help."""

from __future__ import annotations

import re

from sluice.domain import failures
from sluice.domain.failures import TransientError
from sluice.lazy import dataclass

_SAID = re.compile(
    r"service limit '(?P<name>[^']+)' is (?P<limit>\d+)\b.*?"
    r"current utilization of (?P<used>\d+)\b.*?request delta of (?P<wanted>\d+)\b",
    re.DOTALL,
)
_REQUEST = "ask for an increase in Service Quotas (Amazon SageMaker), then"


class QuotaError(Exception):
    """SageMaker refuses a request because of a quota of the account; the message is its own."""


class QuotaTooLowError(QuotaError):
    """A quota is below what is needed at once: waiting does not help."""


class QuotaTakenError(QuotaError, TransientError):
    """A quota is used up for now: the end of another job or endpoint frees it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What SageMaker said; all else is None if its wording is unknown."""

    said: str
    name: str | None = None
    limit: int | None = None
    used: int | None = None
    wanted: int | None = None

    @property
    def is_final(self) -> bool:
        return self.limit is not None and self.wanted is not None and self.limit < self.wanted


def read(said: str) -> Refusal:
    """Parse the message of a ResourceLimitExceeded."""
    found = _SAID.search(said)
    if found is None:
        return Refusal(said)
    return Refusal(said, found["name"], int(found["limit"]), int(found["used"]), int(found["wanted"]))


def of_job(refusal: Refusal) -> Exception:
    """Return the error for a job's task, which fails it or has it retried."""
    if not refusal.is_final:
        return QuotaTakenError(_taken(refusal))
    return QuotaTooLowError(
        f"{_short(refusal)}: {_REQUEST} upload or push again, or name another instance type in pipeline.yaml"
    )


def of_endpoint(refusal: Refusal, *, is_update: bool) -> Exception:
    """Return the error for a deployment, which has changed nothing yet."""
    both = " while those that serve go on, as an update runs both (blue/green)" if is_update else ""
    if not refusal.is_final:
        return QuotaTakenError(_taken(refusal, both))
    return QuotaTooLowError(f"{_short(refusal)}{both}: {_REQUEST} approve again")


def _taken(refusal: Refusal, for_what: str = "") -> str:
    """Say what is used up, then what SageMaker said, which may be all that is known."""
    if refusal.used is None:
        return f"{refusal.said}{f' (needed{for_what})' if for_what else ''}"
    sentence = (
        f"the account's quota '{refusal.name}' is {refusal.limit}: {refusal.used} in use, {refusal.wanted} "
        f"more needed{for_what}; it is tried again until others end"
    )
    return failures.with_words(sentence, refusal.said)


def _short(refusal: Refusal) -> str:
    return f"the account's quota '{refusal.name}' is {refusal.limit}, and {refusal.wanted} more are needed"
