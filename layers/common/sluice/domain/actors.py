"""Who did something: what AWS vouches for, and what was only said.

The registry names who decided about a package (`LastModifiedBy`). Neither EventBridge nor Step Functions
tells a function who sent an event or started an execution: such an actor is marked wherever it is shown.
"""

from __future__ import annotations

_UNVERIFIED = "(unverified)"


def unverified(actor: str) -> str:
    """An actor that a request names by itself: no service told us who sent it."""
    return actor if actor.endswith(_UNVERIFIED) else f"{actor} {_UNVERIFIED}"
