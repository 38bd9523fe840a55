"""Put events of commands on the bus: the stack's functions act on them, with their own roles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sluice_cli.errors import CommandError

SOURCE = "sluice.cli"
_DENIED = ("AccessDenied", "AccessDeniedException")


class NotAllowedError(CommandError):
    """The caller's role may not send such an event."""


def announce(events: Any, detail_type: str, detail: Mapping[str, Any]) -> None:
    """Put one event on the default bus; raises NotAllowedError, or CommandError if the bus refused it."""
    entry = {"Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)}
    try:
        answer = events.put_events(Entries=[entry])
    except ClientError as error:
        said = f"put_events: {error.response['Error'].get('Message', error)}"
        if error.response["Error"].get("Code") in _DENIED:
            hint = "docs/deploy.md says which part may do what; ask who has one that may."
            raise NotAllowedError(said, hint=hint) from error
        raise CommandError(said) from error
    # PutEvents succeeds even if an entry failed.
    if answer["FailedEntryCount"]:
        raise CommandError(f"put_events: {answer['Entries'][0].get('ErrorMessage', 'it was refused')}")
