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
    # Of KMS, as each service spells it.
    "KMS.ThrottlingException",
    "KMSThrottling",
    "KMSThrottlingException",
    "KmsThrottled",
    "KmsThrottlingException",
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
    "InternalDependencyException",
    "InternalError",
    "InternalException",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "InternalServiceError",
    "InternalServiceFault",
    "InternalStreamFailure",
    "InternalStreamingException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
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
    # Lambda updates the function, or wakes it up.
    "ResourceConflictException",
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
