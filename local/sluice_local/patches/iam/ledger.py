"""Record what each role did and was refused, to prove that its policy suffices and grants no more."""

from __future__ import annotations

import threading
from typing import Any

PATH = "/_local/iam/used"


class Ledger:
    """Distinct (action, resource) pairs by role and outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[bool, dict[str, set[tuple[str, str]]]] = {True: {}, False: {}}

    def record(self, role: str, action: str, resource: str, *, allowed: bool) -> None:
        """Note that a role did something, or was not allowed to."""
        with self._lock:
            self._seen[allowed].setdefault(role, set()).add((action, resource))

    def document(self) -> dict[str, Any]:
        """Return `{"used": {role: [{"action", "resource"}]}, "denied": the same}`, sorted."""
        with self._lock:
            return {
                name: {
                    role: [{"action": action, "resource": resource} for action, resource in sorted(pairs)]
                    for role, pairs in sorted(self._seen[outcome].items())
                }
                for name, outcome in (("used", True), ("denied", False))
            }


LEDGER = Ledger()


def answer(method: str, body: bytes) -> tuple[int, Any]:
    """Answer a request to `PATH`."""
    if method != "GET":
        return 405, {"message": "GET"}
    return 200, LEDGER.document()
