"""Requests with a client's token act once: a repeated one gets the first one's answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope

# Held while a request acts, so that the same request cannot act twice at the same time.
LOCK = threading.RLock()
_ANSWERS: dict[tuple[Scope, str, str], tuple[Mapping[str, Any], Item]] = {}


def once(
    operation: str, scope: Scope, params: dict[str, Any], act: Callable[[], Item], member: str = "ClientToken"
) -> Item:
    """Act, unless a request with the same token did: then return its answer.

    Raises ApiError if that request had other parameters. The token is taken out of `params`.
    """
    token = params.pop(member, None)
    with LOCK:
        if token and (done := _ANSWERS.get((scope, operation, token))):
            earlier, answer = done
            if earlier != params:
                raise ApiError("ConflictException", f"The {member} was used with other parameters.")
            return answer
        answer = act()
        if token:
            _ANSWERS[scope, operation, token] = params, answer
        return answer


def saved() -> dict[tuple[str, ...], tuple[Mapping[str, Any], Item]]:
    """Return the requests with tokens, as plain data."""
    with LOCK:
        return {(scope.account, scope.region, *rest): done for (scope, *rest), done in _ANSWERS.items()}


def restore(kept: Mapping[tuple[str, ...], tuple[Mapping[str, Any], Item]]) -> None:
    """Replace all requests by these."""
    with LOCK:
        _ANSWERS.clear()
        _ANSWERS.update({(Scope(key[0], key[1]), key[2], key[3]): done for key, done in kept.items()})
