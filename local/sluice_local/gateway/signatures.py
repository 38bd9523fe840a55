"""With IAM enforced, verify who signed a request: a key that this cloud issued, or its root user's, `test`.

Ministack verifies keys that it issued, for known IAM actions. Without verification it takes `test`, any
account's number and a missing key for the root user, and it checks nothing below `/_ministack/`. So
everything is verified here first.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

import ministack.app
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack.core import iam_evaluator, lambda_runtime, router, sigv4
from ministack.services import lambda_svc, sts

from sluice_local.gateway.local_api import Receive, Send
from sluice_local.settings import LOOPBACK, ROOT_KEY, ROOT_SECRET, Settings

_ALGORITHM = "AWS4-HMAC-SHA256"
_LONGEST_PRESIGNED_S = 7 * 24 * 3600
_HASHED_IN_LOOP_BYTES = 1 << 20
# Bodies that S3 and its clients leave unsigned, or sign by the chunk.
_NOT_HASHED = (
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
)
_SIGNING_QUERIES = ("x-amz-algorithm", "x-amz-credential", "x-amz-signature", "awsaccesskeyid", "signature")
# The token of every session while IAM is off: nobody checks it.
_TOKEN_OF_ANYBODY = "local"  # noqa: S105
_PROCESS_SECRET = secrets.token_bytes(32)
_NO_SIGNATURE = "Request is missing Authentication Token"
_CODE_URL_VALID_S = 600


class SignatureError(Exception):
    """A refused request: AWS's error code, and the message for the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was sent; repeated headers are joined, as for signing."""

    method: str
    path: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(cls, scope: Any, body: bytes) -> Request:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), sigv4.decode_header_value(raw_value)
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        query = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
        method = scope.get("method", "GET")
        return cls(method, scope["path"], raw_path.decode("latin-1"), query, headers, body)


def install(settings: Settings) -> None:
    """Give each function a session; with IAM on, require the root user's key, and sign URLs of code."""
    if not settings.auth:
        given = lambda_runtime.execution_credentials
        # The credentials are the root user's, with a token, as a function on AWS always has one.
        lambda_runtime.execution_credentials = lambda_svc.execution_credentials = lambda config: {
            **given(config),
            "AWS_SESSION_TOKEN": _TOKEN_OF_ANYBODY,
        }
        return
    # Requests without a key get here only if AWS serves them unsigned.
    is_root = lambda key: key in ("", None, ROOT_KEY)  # noqa: E731
    iam_evaluator.is_root_access_key = iam_evaluator._is_root_key = sts.is_root_access_key = is_root
    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = _function_credentials
    for name in ("_presigned_code_url", "_layer_content_url"):
        setattr(lambda_svc, name, _signed_url(getattr(lambda_svc, name)))


async def authenticated(scope: Any, receive: Receive, send: Send) -> Receive | None:
    """Return the receiver of a request's body if it may be served; else answer it, and return None."""
    if _is_served_unsigned(Request.of(scope, b""), is_http=scope["type"] == "http"):
        return receive
    body = await _body(receive) if scope["type"] == "http" else b""
    request = Request.of(scope, body)
    try:
        if len(body) > _HASHED_IN_LOOP_BYTES:
            await asyncio.to_thread(verify, request)
        else:
            verify(request)
    except SignatureError as error:
        await _refuse(scope, send, request, error)
        return None
    return receive if scope["type"] == "websocket" else _again(body, receive)


def _is_served_unsigned(request: Request, *, is_http: bool) -> bool:
    """Tell whether an unsigned request is for a function's or an API's URL that needs no signature on AWS.

    Only the form with a path counts, which is unambiguous: ministack may treat a path differently although
    the host's name is a function's. JWT and Lambda authorizers decide themselves.
    """
    is_signed = request.headers.get("authorization", "").startswith("AWS") or any(
        name.lower() in _SIGNING_QUERIES for name in request.query
    )
    if is_signed or not is_http or request.headers.get("host", "").rpartition(":")[0] not in LOOPBACK:
        return False
    app, path = ministack.app, request.path
    if path.startswith("/_aws/lambda-url/") and (url := app._parse_lambda_url("", path)):
        _, conditions, _ = app._function_url_auth_target(url[0])
        return bool(conditions.get("lambda:FunctionUrlAuthType") == "NONE")
    if path.startswith("/_aws/execute-api/") and (call := app._parse_execute_api_url("", path)):
        api, stage, rest = call
        if rest.startswith("/@connections/"):
            return False
        stage, rest = app._resolve_stage_and_path(api, stage, rest)
        return app._execute_api_authorization_type(api, stage, request.method, rest) not in (None, "AWS_IAM")
    return False


def verify(request: Request) -> None:
    """Raise SignatureError unless a key of this cloud signed the request for this purpose."""
    if _query(request, "AWSAccessKeyId") and "authorization" not in request.headers:
        _verify_version_2(request)
        return
    signature, is_presigned = _claimed(request)
    _check_scope(request, signature)
    _check_time(request, signature, is_presigned=is_presigned)
    token = (
        _query(request, "X-Amz-Security-Token")
        if is_presigned
        else request.headers.get("x-amz-security-token", "")
    )
    credential = _credential(signature.access_key_id, token)
    _check_payload(request, signature.service)
    failure = sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        request.body,
        presigned=is_presigned,
    )
    if failure:
        raise SignatureError(*failure)
    if _is_administration(request.path) and signature.access_key_id != ROOT_KEY:
        raise SignatureError("AccessDenied", f"Only the root user may use {request.path} of the local cloud.")


def _claimed(request: Request) -> tuple[sigv4.HeaderSignature, bool]:
    """Return a request's signature, and whether it is in the query."""
    authorization = request.headers.get("authorization", "")
    in_query = bool(_query(request, "X-Amz-Algorithm") or _query(request, "X-Amz-Signature"))
    if not authorization and not in_query:
        raise SignatureError("MissingAuthenticationToken", _NO_SIGNATURE)
    algorithm = authorization.partition(" ")[0] if authorization else _query(request, "X-Amz-Algorithm")
    if algorithm != _ALGORITHM or (authorization and in_query):
        raise SignatureError("IncompleteSignature", f"The local cloud takes one signature, by {_ALGORITHM}.")
    parse = sigv4.parse_query_signature if in_query else sigv4.parse_header_signature
    signature = parse(request.query if in_query else request.headers)
    if isinstance(signature, tuple):
        raise SignatureError(*signature)
    # Verify the same key that ministack later takes for the caller's.
    if router.extract_access_key_id(dict(request.headers), request.query) != signature.access_key_id:
        raise SignatureError("IncompleteSignature", "The request names more than one access key.")
    if "host" not in signature.signed_headers.lower().split(";"):
        raise SignatureError("SignatureDoesNotMatch", "'Host' must be a 'SignedHeader'.")
    return signature, in_query


def _check_scope(request: Request, signature: sigv4.HeaderSignature) -> None:
    """Refuse unsigned parts that would redirect a signed request: a target header, or an action in a body."""
    names = signature.signed_headers.lower().split(";")
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in names]
    if unsigned:
        message = f"There were headers present in the request which were not signed: {', '.join(unsigned)}"
        raise SignatureError("AccessDenied", message)
    if signature.service == "s3" and not _is_administration(request.path) and _service(request) != "s3":
        raise SignatureError("SignatureDoesNotMatch", "Credential should be scoped to correct service.")


def _verify_version_2(request: Request) -> None:
    """Verify the old signature of S3 URLs, which boto3 still uses in some regions; it omits the body."""
    key = _query(request, "AWSAccessKeyId")
    if _service(request) != "s3" or _is_administration(request.path) or _query(request, "X-Amz-Signature"):
        raise SignatureError("IncompleteSignature", "Signature version 2 is for objects of S3 alone.")
    if not _query(request, "Signature"):
        raise SignatureError("MissingAuthenticationToken", _NO_SIGNATURE)
    virtual = ministack.app._extract_s3_vhost_bucket(request.headers.get("host", ""))
    signed = iam_evaluator.SignedRequest(
        key,
        request.method,
        request.raw_path,
        dict(request.query),
        dict(request.headers),
        sigv2=True,
        auth_path=f"/{virtual}{request.raw_path}" if virtual else request.raw_path,
    )
    _credential(key, _query(request, "x-amz-security-token"))
    found = iam_evaluator._sigv2_check(signed, os.environ["MINISTACK_ACCOUNT_ID"])
    if isinstance(found, iam_evaluator.AuthError):
        raise SignatureError(found.code, found.message)


def _service(request: Request) -> str:
    """Return the service that ministack routes the request to."""
    headers, query = dict(request.headers), dict(request.query)
    query = ministack.app._routing_params(request.method, request.path, headers, request.body, query)
    return str(router.detect_service(request.method, request.path, headers, query))


def _check_time(request: Request, signature: sigv4.HeaderSignature, *, is_presigned: bool) -> None:
    if sigv4._amz_datetime(signature.amz_date) is None:
        raise SignatureError("IncompleteSignature", f"{signature.amz_date!r} is no X-Amz-Date.")
    skewed = sigv4.request_time_failure(signature)
    if not is_presigned:
        if skewed:
            raise SignatureError(*skewed)
        return
    expires = _query(request, "X-Amz-Expires")
    if not (expires.isascii() and expires.isdigit() and 1 <= int(expires) <= _LONGEST_PRESIGNED_S):
        raise SignatureError(
            "AuthorizationQueryParametersError", "X-Amz-Expires is from 1 to 604800 seconds."
        )
    is_from_future = skewed and "not yet current" in skewed[1]
    if is_from_future or sigv4.presigned_request_is_expired(signature.amz_date, expires):
        raise SignatureError("AccessDenied", "Request has expired")


def _credential(access_key: str, token: str) -> iam_evaluator.ResolvedCredential:
    try:
        account = iam_evaluator.find_iam_access_key_account(access_key)
    except iam_evaluator.AmbiguousAccessKeyError:
        account = None
    session = sts._sessions.get(access_key)
    account = account or (session and session.get("AccountId")) or os.environ["MINISTACK_ACCOUNT_ID"]
    found = iam_evaluator.resolve_credential(access_key, account, token)
    if isinstance(found, iam_evaluator.CredentialResolutionError):
        code = "InvalidClientTokenId" if found.code == "UnrecognizedClientException" else found.code
        raise SignatureError(code, found.message)
    return found


def _check_payload(request: Request, service: str) -> None:
    """Require the body to have the hash in the header, which the signature covers."""
    stated = request.headers.get("x-amz-content-sha256", "")
    if not stated or (service == "s3" and stated in _NOT_HASHED):
        return
    if not hmac.compare_digest(stated.encode(), hashlib.sha256(request.body).hexdigest().encode()):
        raise SignatureError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )


def _is_administration(path: str) -> bool:
    """Tell whether a path is of the cloud's or ministack's own requests, which no bucket's name can be."""
    return path.startswith("/_") and not path.startswith("/_aws/")


def _query(request: Request, name: str) -> str:
    found = request.query.get(name) or request.query.get(name.lower()) or [""]
    return found[0]


def _function_credentials(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a session of a function's role, with one key for the lifetime of this cloud.

    Ministack derives the secret from the names of the function and its role, so any job could sign as it.
    """
    role, function = config.get("Role", ""), config.get("FunctionArn", "")
    digest = hmac.digest(_PROCESS_SECRET, f"{function}:{role}".encode(), "sha512").hex()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], digest[56:]
    account, _ = lambda_runtime._account_region_from_function_config(config)
    role_name, session_name = role.rsplit("/", 1)[-1], str(config.get("FunctionName", "function"))[:64]
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
        "UserId": f"{role_name}:{session_name}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key, session)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def _signed_url(unsigned: Any) -> Any:
    """Give callers that may read a function's code a signed URL of it, as AWS does."""

    def signed(*args: Any) -> str:
        url = unsigned(*args).partition("?")[0]
        request = AWSRequest("GET", url)
        credentials = Credentials(ROOT_KEY, ROOT_SECRET)
        S3SigV4QueryAuth(credentials, "s3", os.environ["MINISTACK_REGION"], _CODE_URL_VALID_S).add_auth(
            request
        )
        return str(request.url)

    return signed


async def _refuse(scope: Any, send: Send, request: Request, error: SignatureError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        return
    headers = dict(request.headers)
    denied = iam_evaluator.AuthError(error.code, error.message)
    status, answered, content = ministack.app._credential_failure(
        _service(request), "", "local", denied, headers
    )
    raw_headers = [(name.lower().encode(), value.encode()) for name, value in answered.items()]
    await send({"type": "http.response.start", "status": max(status, 400), "headers": raw_headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else content})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return the body that was read, and then what follows (the end of the connection)."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> dict[str, Any]:
        return waiting.pop() if waiting else await receive()

    return receive_again
