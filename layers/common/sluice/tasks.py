"""What a function has in common with all that a state machine calls: how it fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sluice.domain.failures import ConflictError, TransientError

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def machine_task(handler: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """Raise what waiting may cure as TransientError, and any other error as it is.

    Step Functions sees an error's name and nothing else. botocore gives throttling and a missing permission
    the same one, ClientError, so a machine that retried by it would try the latter again too.
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
