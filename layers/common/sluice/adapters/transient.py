"""Which errors of AWS waiting may cure: throttling, faults of a service, lost connections and conflicts.

botocore tries again by itself, within seconds. What it raises in the end is judged here as it judges an
answer: by the HTTP status, by the error code, and by the class of what kept an answer from coming.
"""

from __future__ import annotations

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

from sluice.adapters.clients import error_codes

_STATUSES = {429, 500, 502, 503, 504}
_THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TooManyRequestsException",
}
# Also where there is no status: an entry of PutEvents fails while its request succeeds.
_FAULTS = {
    "InternalException",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
}
# Somebody changes the same thing at this moment.
_CONFLICTS = {
    "ConcurrentModification",
    "ConcurrentModificationException",
    "ConditionalRequestConflict",
    "ConflictException",
    "EntityTemporarilyUnmodifiable",
    "OperationAborted",
    "OperationAbortedException",
    "ReplicatedWriteConflictException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
CODES = frozenset(_THROTTLED | _FAULTS | _CONFLICTS)


def is_curable(error: BaseException) -> bool:
    """Whether the same request may succeed later, with nothing changed by anybody."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in _STATUSES or bool(error_codes(error) & CODES)
    return isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError)
