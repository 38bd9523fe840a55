"""What run_job is asked for: a request to SageMaker, and all that SageMaker would know besides.

An order may rest in queues: Lambda's own, and dead letters. So its credentials are sealed, with a key that is
in S3: who has either alone has nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

CLAIM = "claim.json"
STOP = "stop.json"
RESULT = "result.json"
REQUEST = "request.json"
# The folder of keys, one for each time that a job is ordered.
KEYS = "keys"
KEY_BYTES = 32
Credentials = Mapping[str, str]
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
    sealed_credentials: str
    # Where the key to them is.
    key_uri: str
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

    def credentials(self, key: bytes) -> tuple[Credentials, Credentials]:
        """Return those of the script and those of run_job itself."""
        script, own = json.loads(_masked(base64.b64decode(self.sealed_credentials), key))
        return script, own


def architecture() -> str:
    """Return the processor of this function, as Lambda calls it."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def seal(script: Credentials, own: Credentials, key: bytes) -> str:
    """Encrypt credentials with a key that encrypts nothing else."""
    return base64.b64encode(_masked(json.dumps([script, own]).encode(), key)).decode()


def _masked(data: bytes, key: bytes) -> bytes:
    """Return data combined with as much of the key's stream, which undoes itself."""
    stream = hashlib.shake_256(key).digest(len(data))
    return bytes(a ^ b for a, b in zip(data, stream, strict=True))
