"""Small requests go over open connections, and their answers are those that botocore's own session reads."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.exceptions import ConnectionClosedError, IncompleteReadError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.response import StreamingBody

from sluice.adapters.open_connections import OpenConnections
from sluice.adapters.sessions import new_session

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with the next of its answers; keeps connections open until one says otherwise."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.heard: list[tuple[int, bytes]] = []
        """Of each request the number of its connection, and its bytes."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/a%20b?c=d"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._open.append(connection)
                threading.Thread(target=self._answer, args=(connection, len(self._open)), daemon=True).start()

    def _answer(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as file:
            while head := file.readline():
                while not head.endswith(b"\r\n\r\n"):
                    head += file.readline()
                length = dict(
                    line.lower().split(b": ", 1) for line in head.splitlines()[1:] if b": " in line
                ).get(b"content-length", b"0")
                self.heard.append((number, head + file.read(int(length))))
                answer = self.answers.pop(0)
                connection.sendall(answer)
                if answer.startswith(b"HTTP/1.0") or b"Connection: close" in answer or b"CUT" in answer:
                    return

    def close_all(self) -> None:
        """Close the connections that are open, as AWS does with those that nobody used for a while."""
        while self._open:
            connection = self._open.pop()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()
        self.close_all()


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


def asked(server: Server, method: str = "GET", body: Any = None, **options: Any) -> AWSPreparedRequest:
    request: Any = AWSPreparedRequest
    headers: Any = HeadersDict(options.get("headers", {}))
    return request(method, server.url, headers, body, options.get("streams", False))  # type: ignore[no-any-return]


def opened(server: Server, timeout_s: float = 5.0) -> OpenConnections:
    """Return connections of which one is open."""
    make: Any = URLLib3Session
    connections = OpenConnections(make(timeout=timeout_s))
    server.answers.append(OK)
    assert connections.send(asked(server)).content == b"ok"
    return connections


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", OK),
        ("GET", CHUNKED),
        ("GET", LARGE),
        ("GET", b"HTTP/1.1 200 \r\nContent-Length:0\r\nx-amz-meta-Name:  a: b \r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nVia: a\r\nContent-Length: 1\r\nVia: b\r\n\r\nx"),
        (
            "GET",
            b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
        ),
        ("GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nETag: x\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_an_answer_is_what_botocore_reads(server: Server, method: str, answer: bytes, streams: bool) -> None:
    connections = opened(server)
    server.answers += [answer, answer, OK]
    ours = connections.send(asked(server, method, streams=streams))
    content = ours.content
    theirs = URLLib3Session().send(asked(server, method, streams=streams))
    assert (ours.status_code, {**ours.headers}, content) == (
        theirs.status_code,
        {**theirs.headers},
        theirs.content,
    )
    # What was read leaves nothing behind for the next.
    assert connections.send(asked(server)).content == b"ok"


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("GET", None, {"Accept": b"x"}),
        ("POST", None, {}),
        ("POST", b"body", {"Content-Length": "4", "X-Amz-Target": "DynamoDB.GetItem"}),
        ("PUT", io.BytesIO(b"body"), {"Content-Length": "4", "accept-encoding": "gzip"}),
        ("PUT", io.BytesIO(b"y" * 100_000), {"Content-Length": "100000"}),
        ("DELETE", None, {}),
    ],
)
def test_a_request_says_what_botocore_says(
    server: Server, method: str, body: Any, headers: dict[str, Any]
) -> None:
    connections = opened(server)
    server.answers += [OK, OK]
    for each in (connections, URLLib3Session()):
        request: Any = asked(server, method, body, headers={"User-Agent": "sluice", **headers})
        request.reset_stream()
        each.send(request)
    (_, (ours, said), (theirs, also_said)) = server.heard
    assert (ours, theirs) == (1, 2)

    def parts(heard: bytes) -> tuple[bytes, set[bytes], bytes]:
        head, _, content = heard.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        names = {line.partition(b":")[0].lower() + b":" + line.partition(b":")[2] for line in lines}
        return first, names, content

    assert parts(said) == parts(also_said)


def test_a_body_is_whole_where_no_connection_is_open(server: Server) -> None:
    server.answers.append(OK)
    make: Any = URLLib3Session
    OpenConnections(make(timeout=5)).send(
        asked(server, "PUT", io.BytesIO(b"body"), headers={"Content-Length": "4"})
    )
    assert server.heard[0][1].endswith(b"\r\n\r\nbody")


def test_a_header_with_a_line_of_its_own_is_refused(server: Server) -> None:
    connections = opened(server)
    with pytest.raises(Exception, match="Invalid header value"):
        connections.send(asked(server, headers={"x": "a\r\ny: z"}))


def test_what_the_server_has_closed_is_opened_again(server: Server) -> None:
    connections = opened(server)
    server.close_all()
    server.answers.append(OK)
    assert connections.send(asked(server)).content == b"ok"
    assert len(server.heard) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nx: CUT",
        b"no HTTP, CUT\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nCUT",
    ],
)
def test_an_answer_that_is_cut_is_a_closed_connection(server: Server, answer: bytes) -> None:
    connections = opened(server)
    server.answers.append(answer or b"CUT")
    with pytest.raises(ConnectionClosedError):
        connections.send(asked(server))
    # By this error botocore tries again, over another connection.
    server.answers.append(OK)
    assert connections.send(asked(server)).content == b"ok"


def test_a_stream_that_is_cut_is_incomplete(server: Server) -> None:
    connections = opened(server)
    server.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nCUT")
    answer = connections.send(asked(server, streams=True))
    with pytest.raises(IncompleteReadError):
        StreamingBody(answer.raw, answer.headers["content-length"]).read()


def test_an_answer_that_does_not_come_is_a_timeout(server: Server) -> None:
    connections = opened(server, timeout_s=0.05)
    server.answers.append(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(ReadTimeoutError):
        connections.send(asked(server))


def test_clients_of_our_sessions_ask_over_one_connection(server: Server) -> None:
    session: Any = new_session()
    session.set_credentials("key", "secret")
    client = session.create_client("dynamodb", "eu-central-1", endpoint_url=server.url.partition("/a")[0])
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"Item": {"a": {"S": "b"}}}'
    server.answers += [answer.replace(b"26", b"27")] * 3
    found = [client.get_item(TableName="t", Key={"a": {"S": "b"}})["Item"] for _ in range(3)]
    assert found == [{"a": {"S": "b"}}] * 3
    assert {number for number, _ in server.heard} == {1}
    client.close()
