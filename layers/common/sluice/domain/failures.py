"""Errors of a state machine's tasks, in words for people."""

from __future__ import annotations

import json


def message(cause: str) -> str:
    """The message of a Lambda's error, which is JSON; what the state machine says after it stays."""
    try:
        document, end = json.JSONDecoder().raw_decode(cause)
        return str(document["errorMessage"]) + cause[end:]
    except (ValueError, TypeError, KeyError):
        return cause


def reason(error: str, cause: str) -> str:
    """Name the error and say its message, if it has one."""
    said = message(cause)
    return f"{error}: {said}" if said else error
