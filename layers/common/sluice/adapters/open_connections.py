"""Send small requests over open connections at once, and read their answers line by line.

urllib3 and http.client take 0.26 of the 0.64 ms that botocore spends on a small request, most of it for a
parser of mails, for headers one by one, and for ways to go wrong that an open connection is past. They open
all connections, with whatever belongs to that (TLS, proxies, timeouts), send whatever is large, and read
whatever does not say how long it is.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from urllib3 import HTTPResponse
from urllib3.exceptions import ClosedPoolError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient

# What is sent in one piece, and what is read in one.
_SENT_BYTES, _READ_BYTES = 64 << 10, 1 << 20
_LONGEST_LINE_BYTES = 64 << 10
# A request with one of these waits for an answer before its body, or has a body of unknown length.
_APART = ("Expect", "Transfer-Encoding")
_WITH_BODIES = ("POST", "PUT", "PATCH")


def use(client: BaseClient) -> None:
    """Let a client's small requests go over its open connections."""
    endpoint: Any = client
    endpoint = endpoint._endpoint
    endpoint.http_session = OpenConnections(endpoint.http_session)


class OpenConnections:
    """A client's connections; botocore's own session, of urllib3, has them and opens them."""

    def __init__(self, session: Any) -> None:
        self._session = session
        # By scheme and host; None where a proxy is between.
        self._pools: dict[tuple[str, str], Any] = {}

    def close(self) -> None:
        self._session.close()

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request; raises what botocore's session raises."""
        message = _message(request)
        pool = self._pool(request.url) if message is not None else None
        connection = _open_one(pool) if pool is not None else None
        if message is None or connection is None:
            sent: AWSResponse = self._session.send(request)
            return sent
        with _told_as_botocore(request, connection):
            connection.sock.sendall(message)
            answer = _Answer(connection.sock, method=request.method)
            answer.begin()
            return _response(request, answer, connection, pool)

    def _pool(self, url: str) -> Any:
        scheme, host, *_ = urlsplit(url)
        if (scheme, host) not in self._pools:
            is_direct = self._session._proxy_config.proxy_url_for(url) is None
            manager = self._session._manager
            self._pools[scheme, host] = manager.connection_from_url(url) if is_direct else None
        found = self._pools[scheme, host]
        if found is not None and found.pool is None:
            # One of too many hosts: its pool was closed, and botocore's session makes another.
            self._pools.pop((scheme, host), None)
            return None
        return found


def _open_one(pool: Any) -> Any:
    """Take an open connection from a pool; None if there is none."""
    with suppress(ClosedPoolError):
        connection = pool._get_conn()
        if connection.sock is not None:
            return connection
        pool._put_conn(connection)
    return None


def _message(request: AWSPreparedRequest) -> bytes | None:
    """Return a request as it is sent; None for one that is not sent in one piece."""
    asked: Any = request
    headers = asked.headers
    if any(name in headers for name in _APART) or (asked.context or {}).get("read_timeout") is not None:
        return None
    body = _body(asked)
    if body is None:
        return None
    url = urlsplit(asked.url)
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    implied = {"Host": url.netloc, "Accept-Encoding": "identity"}
    implied |= {"Content-Length": "0"} if asked.method in _WITH_BODIES else {}
    given = {**{name: value for name, value in implied.items() if name not in headers}, **headers}
    lines = [f"{asked.method} {target} HTTP/1.1", *(f"{n}: {_text(value)}" for n, value in given.items())]
    # A line within a line is for urllib3 to refuse.
    if any("\n" in line or "\r" in line for line in lines):
        return None
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _body(request: Any) -> bytes | None:
    body = request.body
    if body is None or isinstance(body, str | bytes | bytearray):
        data = body.encode() if isinstance(body, str) else bytes(body or b"")
        return data if len(data) <= _SENT_BYTES else None
    if isinstance(body, io.BytesIO) and body.getbuffer().nbytes <= _SENT_BYTES:
        # It stays where it is: botocore's session may have to send it.
        return bytes(body.getbuffer()[body.tell() :])
    return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class _Answer(http.client.HTTPResponse):
    """An answer whose headers are read as lines: http.client reads them as those of a mail."""

    _method: str | None
    named: dict[str, str]
    """The headers, as they are spelt."""

    def begin(self) -> None:
        version, status = self._status_line()
        while status == http.client.CONTINUE:
            _headers(self.fp)
            version, status = self._status_line()
        self.code = self.status = status
        self.version = 11
        self.named = _headers(self.fp)
        found = {name.lower(): value for name, value in self.named.items()}
        self.headers = self.msg = found  # type: ignore[assignment]
        self.chunked = found.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = found.get("content-length", "").strip()
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if self._method == "HEAD" or status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            self.length = 0
        is_kept = version == "HTTP/1.1" and "close" not in found.get("connection", "").lower()
        self.will_close = not is_kept or (self.length is None and not self.chunked)

    def _status_line(self) -> tuple[str, int]:
        line = _line(self.fp)
        version, _, rest = line.partition(" ")
        status = rest[:3]
        if not version.startswith("HTTP/1.") or not status.isdecimal():
            raise http.client.BadStatusLine(line)
        return version, int(status)


def _headers(file: io.BufferedReader) -> dict[str, str]:
    """Read headers; several of one name are one, with all values."""
    found: dict[str, str] = {}
    while line := _line(file):
        name, _, value = line.partition(":")
        value = value.lstrip(" \t")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _line(file: io.BufferedReader) -> str:
    """Read a line; raises http.client's errors for one that is too long, and for none."""
    line = file.readline(_LONGEST_LINE_BYTES + 1)
    if len(line) > _LONGEST_LINE_BYTES:
        raise http.client.LineTooLong("header line")
    if not line.endswith(b"\n"):
        raise http.client.RemoteDisconnected("the connection was closed before the end of an answer")
    return line.rstrip(b"\r\n").decode("latin-1")


def _response(request: AWSPreparedRequest, answer: _Answer, connection: Any, pool: Any) -> AWSResponse:
    headers: Any = answer.named
    asked: Any = request
    if answer.length is None or answer.length > _READ_BYTES:
        return _streamed(asked, answer, connection, pool)
    body = answer.fp.read(answer.length)
    if len(body) < answer.length and not asked.stream_output:
        raise http.client.IncompleteRead(body, answer.length - len(body))
    if answer.will_close or len(body) < answer.length:
        connection.close()
    answer.close()
    pool._put_conn(connection)
    response = AWSResponse(asked.url, answer.status, headers, io.BytesIO(body))
    response._content = body  # type: ignore[attr-defined]
    return response


def _streamed(request: Any, answer: _Answer, connection: Any, pool: Any) -> AWSResponse:
    """Let urllib3 read the body; it gives the connection back at the end."""
    headers: Any = answer.named
    raw = HTTPResponse(
        answer,
        headers,
        answer.status,
        preload_content=False,
        decode_content=False,
        original_response=answer,
        pool=pool,
        connection=connection,
        enforce_content_length=False,
        request_method=request.method,
        request_url=request.url,
    )
    response = AWSResponse(request.url, answer.status, headers, raw)
    if not request.stream_output:
        _ = response.content
    if answer.will_close:
        # What is read of it stays readable: the connection alone is not used again.
        connection.close()
    return response


@contextmanager
def _told_as_botocore(request: AWSPreparedRequest, connection: Any) -> Iterator[None]:
    """Close the connection whatever goes wrong, and raise botocore's error for it: then it tries again."""
    url = request.url
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, TimeoutError):
            raise ReadTimeoutError(endpoint_url=url, error=error) from error
        if isinstance(error, OSError | http.client.HTTPException):
            raise ConnectionClosedError(endpoint_url=url, error=error, request=request) from error
        if isinstance(error, Exception):
            raise HTTPClientError(error=error) from error
        raise
