"""Save the cloud's state while it runs, and restore it at the start."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sluice_local.state import pickles
from sluice_local.state.files import Manifest, StateFiles, TornError, named
from sluice_local.state.stores import Store

FORMAT = 1
IDLE_S = 10.0
PAUSE_S = 1.0
COST_SHARE = 50
"""Saving takes at most this part of a processor: after a save of 0.1 s nothing is saved for five seconds."""
MAX_PAUSE_S = 30.0

_ATTEMPTS = 5
_logger = logging.getLogger(__name__)


@dataclass
class Continued:
    """What a cloud restored when it started."""

    saved_at: str
    port: int
    # When it was stopped as it should be: until then nothing changed that was not saved.
    stopped_at: str | None = None
    left_out: list[str] = field(default_factory=list)
    """What a crash had torn, a sentence each."""


class Saver:
    """Writes the stores, in its own thread from `start` to `stop`."""

    def __init__(self, directory: Path, stores: list[Store], about: Mapping[str, Any]) -> None:
        """Make a saver; `about` has the cloud's port, account and region."""
        self._files = StateFiles(directory)
        self._stores = stores
        self._about = dict(about)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._bodies: dict[int, tuple[bytes, str]] = {}
        last = next(self._files.manifests(), {})
        self._saved: dict[str, Any] = last.get("parts", {})
        self._says_stopped = bool(last.get("stopped_at"))
        self._saving = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)

    def start(self) -> None:
        """Save after each change, and periodically."""
        self._thread.start()

    def stop(self) -> None:
        """Save a last time."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(MAX_PAUSE_S)
        self.save(is_last=True)

    def changed(self) -> None:
        """Note a request that may have changed the cloud."""
        self._changed.set()

    def save(self, *, is_last: bool = False) -> None:
        """Write what changed since the last save; the last one notes that nothing came after it."""
        with self._saving:
            # What changes while it is written may be left out.
            at = _now()
            bodies: dict[int, tuple[bytes, str]] = {}
            parts = {store.name: self._part(store, bodies) for store in self._stores}
            self._bodies = bodies
            if is_last or self._says_stopped or parts != self._saved:
                before, self._saved, self._says_stopped = self._saved, parts, is_last
                about = {**self._about, "format": FORMAT, "ministack": _emulator()}
                times = {"saved_at": at, "stopped_at": at if is_last else None}
                self._files.commit({**about, **times, "parts": parts}, is_same=parts == before)
                self._files.sweep(named(before) | named(parts))

    def _run(self) -> None:
        pause_s = PAUSE_S
        while not self._stopping.wait(pause_s):
            self._changed.wait(IDLE_S)
            self._changed.clear()
            if self._stopping.is_set():
                return
            began = time.thread_time()
            try:
                self.save()
            except Exception:
                _logger.exception("the state could not be saved")
            pause_s = min(max(PAUSE_S, COST_SHARE * (time.thread_time() - began)), MAX_PAUSE_S)

    def _part(self, store: Store, bodies: dict[int, tuple[bytes, str]]) -> Manifest:
        """Write one store; returns its entry in the manifest."""
        apart: set[str] = set()

        def put(data: bytes) -> str:
            known = bodies.get(id(data)) or self._bodies.get(id(data)) or (data, self._files.put(data))
            bodies[id(data)] = known  # hold the bytes, so that no others get their id
            apart.add(known[1])
            return known[1]

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                data = pickles.dumps(store.capture(put))
                break
            except RuntimeError:  # it changed while it was read
                if attempt == _ATTEMPTS:
                    raise
        return {"digest": self._files.put(data), "bodies": sorted(apart)}


def resume(directory: Path, stores: list[Store]) -> Continued | None:
    """Restore the last save; None if there is none."""
    if not directory.exists():
        return None
    files = StateFiles(directory)
    manifests = list(files.manifests())
    if not manifests:
        return None
    if manifests[0]["format"] != FORMAT:
        other = f"all that was there: it is of format {manifests[0]['format']}, this Sluice has {FORMAT}"
        return _told(Continued(manifests[0]["saved_at"], manifests[0]["port"], left_out=[other]))
    chosen = next((each for each in manifests if _is_whole(files, each)), manifests[0])
    continued = Continued(chosen["saved_at"], chosen["port"], stopped_at=chosen.get("stopped_at"))
    if chosen is not manifests[0]:
        continued.left_out.append(f"what changed after {chosen['saved_at']}, as the last save was torn")
    if chosen["ministack"] != _emulator():
        _logger.warning("the state was saved by another version of ministack")
    for store in stores:
        if store.name in chosen["parts"]:
            _restore(files, store, chosen["parts"][store.name], continued)
    return _told(continued)


def _told(continued: Continued) -> Continued:
    for sentence in continued.left_out:
        _logger.warning("left out: %s", sentence)
    return continued


def last_port(directory: Path) -> int:
    """Return the port of the cloud that was saved here; 0 if there is none."""
    if not directory.exists():
        return 0
    return next((int(manifest["port"]) for manifest in StateFiles(directory).manifests()), 0)


def _restore(files: StateFiles, store: Store, part: Manifest, continued: Continued) -> None:
    try:
        value = pickles.loads(files.get(part["digest"]))
    except (TornError, pickles.NotPlainError) as error:
        continued.left_out.append(f"all of {store.name}: {error}")
        return
    torn: list[str] = []
    try:
        store.restore(_with_bodies(value, files.get, torn, (store.name,)))
    except Exception as error:  # saved by another version: not to start would be worse
        _logger.exception("what was saved of %s", store.name)
        torn = [f"all of {store.name}: {type(error).__name__}: {error}"]
    continued.left_out += torn


def _with_bodies(value: Any, get: Callable[[str], bytes], torn: list[str], path: tuple[Any, ...]) -> Any:
    """Return the value with its bodies; dicts and lists lose items whose bodies are damaged."""
    if isinstance(value, dict):
        return {
            key: item
            for key, each in value.items()
            if (item := _whole(each, get, torn, (*path, key))) is not _TORN
        }
    if isinstance(value, list):
        kept = (_whole(each, get, torn, (*path, number)) for number, each in enumerate(value))
        return [item for item in kept if item is not _TORN]
    return value


_TORN: Any = object()


def _whole(item: Any, get: Callable[[str], bytes], torn: list[str], path: tuple[Any, ...]) -> Any:
    """Return an item with its bodies; `_TORN` for a record with a damaged one."""
    record = isinstance(item, dict) and any(isinstance(value, pickles.Body) for value in item.values())
    if not record:
        return _with_bodies(item, get, torn, path)
    try:
        return pickles.with_bodies(item, get)
    except TornError as error:
        torn.append(f"{' '.join(map(str, path))}: {error}")
        return _TORN


def _is_whole(files: StateFiles, manifest: Manifest) -> bool:
    try:
        for part in manifest["parts"].values():
            files.get(part["digest"])
    except TornError:
        return False
    return True


@functools.cache
def _emulator() -> str:
    """Return ministack's version, which Python reads from a whole page of metadata."""
    return version("ministack")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
