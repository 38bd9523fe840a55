"""Decorate the handlers that a state machine calls, so that it can tell which errors to retry."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sluice.domain.failures import ConflictError, TransientError

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def machine_task(handler: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """Raise errors that waiting may cure as TransientError, and all others unchanged.

    Step Functions sees only an error's name. botocore names throttling and a missing permission alike,
    ClientError, so a machine that retries by that name would retry both.
    """

    @wraps(handler)
    def translating(*args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        try:
            return handler(*args, **kwargs)
        except ConflictError as error:
            raise TransientError.of(error) from error
        except TransientError:
            raise
        except Exception as error:
            from sluice.adapters import (
                transient,  # botocore is loaded by then, but not before the first event
            )

            if transient.is_curable(error):
                raise TransientError.of(error) from error
            raise

    return translating
