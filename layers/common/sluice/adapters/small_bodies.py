"""Send a small body to S3 with its request: botocore first asks whether it may, which is one more wait.

That question saves a body which S3 refuses. One that fits into a socket's buffer is sent by then anyway, and
the refusal is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.utils import determine_content_length

if TYPE_CHECKING:
    from botocore.session import Session

# Less than any socket's buffer.
SMALL_BYTES = 16 << 10


def send_at_once(session: Session) -> None:
    """Let all clients that are made from now on ask for large bodies only."""
    # botocore adds the header at this event: this comes after it.
    session.get_component("event_emitter").register_last("before-call.s3", _ask_not)


def _ask_not(params: dict[str, Any], **_: Any) -> None:
    headers = params["headers"]
    if "Expect" in headers:
        size_bytes = determine_content_length(params["body"])
        if size_bytes is not None and size_bytes <= SMALL_BYTES:
            del headers["Expect"]
