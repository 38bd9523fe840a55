"""Name who did something: an identity that AWS vouches for, or one that a request only claims.

The registry names who decided about a package (`LastModifiedBy`). EventBridge and Step Functions do not tell
a function who sent an event or started an execution: such an actor is marked wherever it is shown.
"""

from __future__ import annotations

_UNVERIFIED = "(unverified)"


def unverified(actor: str) -> str:
    """Mark an actor that only the request names: no service told us who sent it."""
    return actor if actor.endswith(_UNVERIFIED) else f"{actor} {_UNVERIFIED}"
