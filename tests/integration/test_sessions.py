"""Clients of our sessions read times as botocore does, and say who asks."""

from __future__ import annotations

import io
from datetime import UTC
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.utils import parse_timestamp
from urllib3 import HTTPResponse

from sluice.adapters.sessions import moment, new_session


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-30T00:40:59.123Z",
        "2026-11-30T00:40:59+01:00",
        "2026-11-30",
        "Mon, 30 Nov 2026 00:40:59 GMT",
        "Mon, 30 Nov 2026 00:40:59 -0500",
        "Monday, 30-Nov-26 00:40:59 GMT",
        "20261130T004059Z",
        "1796000459.5",
        "1712101010",
        1796000459,
        1796000459.25,
    ],
)
def test_a_time_is_what_botocore_reads(value: Any) -> None:
    assert moment(value) == parse_timestamp(value)


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        moment("soon")


def test_clients_read_times_so_and_have_a_short_name() -> None:
    names = list[str]()

    def answer(request: Any, **_: Any) -> Any:
        names.append(request.headers["User-Agent"].decode())
        headers: Any = {"last-modified": "Mon, 30 Nov 2026 00:40:59 GMT"}
        return AWSResponse(request.url, 200, headers, HTTPResponse(io.BytesIO(), preload_content=False))

    session: Any = new_session()
    session.set_credentials("key", "secret")
    s3 = session.create_client("s3", "eu-central-1")
    s3.meta.events.register("before-send.s3", answer)
    # botocore's own parser has a time zone of its own.
    assert s3.head_object(Bucket="bucket", Key="key")["LastModified"].tzinfo is UTC
    # Powertools, where it is loaded, adds a word of its own.
    (name,) = names
    assert name.split()[0] == "sluice"
    assert "otocore" not in name
