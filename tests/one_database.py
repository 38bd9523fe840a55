"""Lend one DuckDB to all validations of a process: making one takes longer than all that a test asks it."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from sluice.quality.engine import database
from sluice.quality.engine.database import Database

_MADE = """
SELECT kind, name FROM (
  SELECT 'VIEW' AS kind, view_name AS name, database_name, internal, temporary FROM duckdb_views()
  UNION ALL
  SELECT 'TABLE', table_name, database_name, internal, temporary FROM duckdb_tables()
)
WHERE database_name = 'memory' AND NOT internal AND NOT temporary
"""


class OneDatabase:
    """What is lent is empty, and not restricted to files: that would be for good."""

    def __init__(self) -> None:
        self._made: duckdb.DuckDBPyConnection | None = None
        self._borrower: Database | None = None

    def lend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a test's databases be this one, but for those that are opened while another is open."""
        start, end, restrict = Database.__init__, Database.close, Database.restrict

        def begun(borrower: Database, *given: Any, **how: Any) -> None:
            if self._borrower is not None:
                start(borrower, *given, **how)
                return
            self._borrower = borrower
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(database, "_connect", self._cursor)
                start(borrower, *given, **how)

        def ended(borrower: Database) -> None:
            if borrower is self._borrower:
                self._borrower = None
                self._clear(borrower)
            end(borrower)

        def restricted(borrower: Database, *given: Any) -> None:
            if borrower is not self._borrower:
                restrict(borrower, *given)

        monkeypatch.setattr(Database, "__init__", begun)
        monkeypatch.setattr(Database, "close", ended)
        monkeypatch.setattr(Database, "restrict", restricted)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
        self._made = None

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self._made is None:
            self._made = duckdb.connect(config=database._CONFIG)
        return self._made.cursor()

    def _clear(self, borrower: Database) -> None:
        if borrower.temp_dir.is_dir() and any(borrower.temp_dir.glob("duckdb_temp*")):
            # A database that has spilled spills to that folder for good.
            self.close()
            return
        ask = borrower.connection.execute
        # Views come first, as they need tables.
        for kind, name in ask(_MADE).fetchall():
            ask(f'DROP {kind} memory."{name}"')
        for (name,) in ask("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall():
            if name != "memory":
                ask(f'DETACH "{name}"')
