"""What run_job is asked for: a request to SageMaker, and all that SageMaker would know besides.

The order holds temporary credentials, so nobody logs it or sends it anywhere but to run_job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

CLAIM = "claim.json"
STOP = "stop.json"
RESULT = "result.json"
REQUEST = "request.json"
# Lambda ends a function after 15 minutes; this much before, the script is stopped.
RESERVE_S = 20.0


@dataclass(frozen=True, slots=True)
class Order:
    """One job to run once; `secret` proves that who reports the job's end was given this order."""

    kind: Literal["training_job", "processing_job"]
    name: str
    arn: str
    stack: str
    pipeline: str
    request: Mapping[str, Any]
    records_uri: str
    log_group: str
    log_stream: str
    # AccessKeyId, SecretAccessKey and SessionToken: what the script may do, and what only run_job may.
    script_credentials: Mapping[str, str]
    own_credentials: Mapping[str, str]
    secret: str
    # `uri` and `digest` of an archive of packages; without one there is the standard library alone.
    environment: Mapping[str, str] | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Order:
        """Read an event; raises KeyError for what is missing."""
        missing = [each.name for each in fields(cls) if each.name not in event and each.name != "environment"]
        if missing:
            raise KeyError(f"the order lacks {', '.join(missing)}")
        return cls(**{each.name: event.get(each.name) for each in fields(cls)})  # type: ignore[arg-type]

    def event(self) -> dict[str, Any]:
        return asdict(self)
