"""The errors of releases."""

from __future__ import annotations

from sluice.domain.failures import TransientError


class ReleaseError(Exception):
    """A release cannot continue."""


class ReleaseRefusedError(ReleaseError):
    """The release must not happen; `reasons` says why and what to do, one line each."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class SmokeTestFailedError(ReleaseError):
    """What was released does not serve as its project says."""


class AlarmFiringError(ReleaseRefusedError, TransientError):
    """An alarm that would watch the release is already in ALARM."""


class ShadowRefusedError(ReleaseRefusedError):
    """A version did worse than what serves on the requests that both answered."""


class StageBusyError(ReleaseError, TransientError):
    """Another release is under way on the stage; try again later."""


class NotRegisteredYetError(ReleaseError, TransientError):
    """The run has not yet recorded that it registered the package; try again soon."""
