"""Run the engine's DuckDB within limits of files, time, memory and storage."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from sluice.quality import shortages
from sluice.quality.engine.limits import UnreadableError
from sluice.quality.engine.sql import text

# Errors of a statement itself, for any data.
STATEMENT_ERRORS = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
_INTERRUPT_EVERY_S = 0.1
VERSION: str = duckdb.__version__
_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    # Threads for files that are far away.
    "async_threads": "0",
}
_spare: list[duckdb.DuckDBPyConnection] = []
_taken: list[duckdb.DuckDBPyConnection] = []
# What is left then is reported as leaked.
atexit.register(_spare.clear)
atexit.register(_taken.clear)


class EngineLimitError(Exception):
    """The data need more time, memory or storage than there is; the message names a way out.

    `keys` are the objects that caused it, if known.
    """

    keys: tuple[str, ...] = ()


def make_spare() -> None:
    """Make a database for the next fork of this process, as that takes 25 ms: who first needs one has it.

    It has no thread yet, which a fork would lack.
    """
    if not _spare:
        connection = duckdb.connect(config={**_CONFIG, "threads": "1"})
        # The first look into the catalog fills it.
        connection.execute("SELECT 1 FROM duckdb_tables()").fetchall()
        _spare.append(connection)


def _connect() -> duckdb.DuckDBPyConnection:
    try:
        connection = _spare.pop()
    except IndexError:
        return duckdb.connect(config=_CONFIG)
    # Closing the last connection would take the database apart, for which a fork need not wait: it ends.
    _taken.append(connection)
    return connection.cursor().execute("RESET threads")


class Database:
    """One DuckDB in memory, which spills to `temp_dir` and stops after `max_s`."""

    def __init__(self, memory_limit_mb: int, temp_dir: Path, *, max_s: float | None = None) -> None:
        self.memory_limit_mb = memory_limit_mb
        self.temp_dir = temp_dir
        self.connection = _connect()
        self.connection.execute(f"SET memory_limit = '{memory_limit_mb}MB'")
        self.connection.execute(f"SET temp_directory = {text(str(temp_dir))}")
        # Otherwise zoned times would be in the machine's zone.
        self.connection.execute("SET TimeZone = 'UTC'")
        self._is_restricted = False
        self._clock = _Watchdog(self.connection, max_s)

    def close(self) -> None:
        self._clock.stop()
        self.connection.close()

    @property
    def is_time_over(self) -> bool:
        return self._clock.is_over

    @property
    def max_s(self) -> float:
        return self._clock.max_s

    def restrict(self, paths: Sequence[Path]) -> None:
        """Restrict reading to these files and the own folder, from now on; only the first call counts."""
        if self._is_restricted:
            return
        self._is_restricted = True
        listed = ", ".join(text(str(path)) for path in paths)
        self.connection.execute(f"SET allowed_paths = [{listed}]")
        self.connection.execute(f"SET allowed_directories = [{text(f'{self.temp_dir}/')}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; raises UnreadableError or EngineLimitError."""
        try:
            with self.limits():
                rows: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        except STATEMENT_ERRORS:
            raise
        except duckdb.Error as error:
            raise UnreadableError("cannot be read: it is not of the format the contract names") from error
        return rows

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Set a shorter time limit while entered."""
        return self._clock.within(seconds)

    @contextmanager
    def limits(self) -> Iterator[None]:
        """Raise EngineLimitError if work on the connection exceeds a limit."""
        try:
            yield
        except duckdb.InterruptException:
            raise EngineLimitError(shortages.out_of_time(self._clock.max_s)) from None
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            if isinstance(error, duckdb.IOException) and "No space left" not in str(error):
                raise
            raise EngineLimitError(shortages.OUT_OF_MEMORY) from None


class _Watchdog:
    """Interrupts a connection when its time is over, and again if it continues."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, max_s: float | None) -> None:
        self.max_s = max_s if max_s is not None else float("inf")
        self._connection = connection
        self._end = self._now_end = time.monotonic() + self.max_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self._now_end = min(self._end, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._now_end = self._end

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERRUPT_EVERY_S):
            if time.monotonic() >= self._now_end:
                self._connection.interrupt()
