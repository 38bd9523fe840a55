"""Write captured requests and answers as JSON lines to S3."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.containers.data import DataError, S3Location
from sluice_local.sagemaker.containers.channels import JobStorage
from sluice_local.sagemaker.hosting.capture import CaptureConfig, Message

_FLUSH_EVERY_S = 2.0
_logger = logging.getLogger(__name__)


class Capture:
    """Writes batches of records to `<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/<file>.jsonl`."""

    def __init__(self, config: CaptureConfig, endpoint: str, storage: JobStorage) -> None:
        self.config = config
        self._storage = storage
        self._destination = S3Location.of(f"{config.destination}/{endpoint}")
        self._pending: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._flush_until_closed, name=f"capture-{endpoint}", daemon=True).start()

    def add(self, variant: str, request: Message, answer: Message, **metadata: str | None) -> None:
        """Add an invocation to the next file of its variant and hour."""
        moment = datetime.now(UTC)
        record = self.config.record(request, answer, moment, str(uuid.uuid4()), **metadata)
        with self._lock:
            self._pending[f"{variant}/{moment:%Y/%m/%d/%H}"].append(json.dumps(record))

    def close(self) -> None:
        """Write what is left, and end."""
        self._closed.set()
        self._flush()

    def _flush_until_closed(self) -> None:
        while not self._closed.wait(_FLUSH_EVERY_S):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, defaultdict(list)
        for folder, lines in pending.items():
            name = f"{datetime.now(UTC):%M-%S-%f}-{uuid.uuid4()}.jsonl"
            try:
                self._write(self._destination.within(f"{folder}/{name}"), lines)
            except DataError as error:
                _logger.warning("captured data of an endpoint are lost: %s", error)

    def _write(self, location: S3Location, lines: list[str]) -> None:
        with TemporaryDirectory() as folder:
            file = Path(folder, "captured.jsonl")
            file.write_text("".join(f"{line}\n" for line in lines))
            self._storage.write(location, file)
