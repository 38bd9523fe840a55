"""Make botocore's sessions, whose clients spend no time on what nobody needs.

botocore puts its user agent together twice for each request, and reads each time in an answer with a parser
of any form: 0.05 ms for each object of a listing.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.config import Config
from botocore.session import Session
from botocore.utils import parse_timestamp

from sluice.adapters.small_bodies import send_at_once


def new_session() -> Session:
    session = Session()
    session.set_default_client_config(Config(user_agent="sluice"))
    send_at_once(session)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return session


def moment(value: Any) -> datetime:
    """Read a time in an answer, as botocore does: of ISO 8601, of a header, or in seconds since 1970."""
    if isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value) if value[4:5] == "-" else parsedate_to_datetime(value)
    found: datetime = parse_timestamp(value)
    return found
