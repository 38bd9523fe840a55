"""Make AWS clients from one session.

botocore without boto3 has the same clients, and a cold start imports a fifth less.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from sluice.adapters.sessions import new_session
from sluice.ports import RequestRefusedError

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=3,
    read_timeout=30,
    # More than are asked side by side: a connection beyond them is closed after its one request.
    max_pool_connections=25,
)


@cache
def _session() -> Session:
    return new_session()


def client(service: str, config: Config = _CONFIG) -> Any:
    """Make a client of the service, in the function's region, and at `AWS_ENDPOINT_URL` if that is set."""
    return _session().create_client(service, config=config)


def error_code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def error_message(error: ClientError) -> str:
    """Return what the service said, without botocore's sentence around it."""
    return str(error.response["Error"].get("Message") or error)


def refusal(error: ClientError) -> RequestRefusedError:
    """Return the error for a request that SageMaker does not take, as people are told of it."""
    from sluice.domain import refusals  # hardly any request is refused

    return RequestRefusedError(refusals.told(error_message(error)))


def error_codes(error: ClientError) -> set[str]:
    """Return the error's code; for a transaction the codes of all changes too."""
    reasons: Any = error.response.get("CancellationReasons", [])
    return {error_code(error), *(str(reason.get("Code")) for reason in reasons)}
