"""Name who did something: an identity that AWS vouches for, or one that a request only claims.

The registry names who decided about a package (`LastModifiedBy`). EventBridge and Step Functions do not tell
a function who sent an event or started an execution: such an actor is marked wherever it is shown.
"""

from __future__ import annotations

_UNVERIFIED = "(unverified)"
# IAM Identity Center makes these roles, one for each permission set, and names the session after the person.
_IDENTITY_CENTER = "AWSReservedSSO_"
UNKNOWN = "unknown"
# Who asks for a build because of what a released model is asked or answers.
MONITORING = "monitoring"


def of_cause(cause: str | None) -> str | None:
    """Return who asked for a build, by its cause; None if data or a push are the cause."""
    return MONITORING if (cause or "").startswith(f"{MONITORING}: ") else None


def unverified(actor: str) -> str:
    """Mark an actor that only the request names: no service told us who sent it."""
    return actor if actor.endswith(_UNVERIFIED) else f"{actor} {_UNVERIFIED}"


def is_vouched_for(actor: str) -> bool:
    """Tell whether a service named the actor."""
    return bool(actor) and actor != UNKNOWN and not actor.endswith(_UNVERIFIED)


def claimed(actor: str) -> str:
    """Return the actor that a mark was set on."""
    return actor.removesuffix(_UNVERIFIED).rstrip()


def person(actor: str) -> str:
    """Return what tells one person from another, so that nobody counts as two.

    An IAM user, a user of IAM Identity Center, a source identity and a Studio profile of one name are one
    person, in whatever account and domain. Who assumes another role chooses the session's name, so all
    sessions of a role are one.
    """
    parts = claimed(actor).split(":")
    if len(parts) < 6 or parts[0] != "arn":
        return claimed(actor).casefold()
    account, kind, _, name = parts[4], *parts[5].partition("/")
    role, _, session = name.partition("/")
    if kind == "assumed-role" and role.startswith(_IDENTITY_CENTER):
        return session.casefold()
    if kind in ("assumed-role", "role"):
        return f"{account}:role/{role if kind == 'assumed-role' else name.rpartition('/')[2]}"
    named = kind in ("user", "user-profile")
    return name.rpartition("/")[2].casefold() if named else claimed(actor)


def is_a_role(actor: str) -> bool:
    """Tell whether an actor is whoever could assume a role: one person may have assumed two."""
    return ":role/" in person(actor)
