"""Tell which errors of AWS are transient: throttling, service faults, lost connections and conflicts.

botocore retries for some seconds. Its final error is judged here by the same criteria: the HTTP status, the
error code, and the class of the exception if there was no answer.
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
# Codes also count without a status: an entry of PutEvents can fail although the request succeeds.
_FAULTS = {
    "InternalException",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
}
# Someone else is changing the same thing.
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
    """Tell whether the same request may succeed later without any change."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in _STATUSES or bool(error_codes(error) & CODES)
    return isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError)
