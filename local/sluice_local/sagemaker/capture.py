"""Data capture: a sample of an endpoint's requests and answers, as JSON lines in S3."""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sluice_local.sagemaker.channels import DataError, JobStorage, S3Location

_FLUSH_EVERY_S = 2.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One side of an invocation."""

    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """An endpoint config's `DataCaptureConfig`."""

    destination: str
    percentage: int
    captures_input: bool
    captures_output: bool
    csv_types: Sequence[str] = ()
    json_types: Sequence[str] = ()

    @classmethod
    def parse(cls, config: Mapping[str, Any] | None) -> CaptureConfig | None:
        """None if nothing is to be captured."""
        if not config or not config.get("EnableCapture"):
            return None
        modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        types = config.get("CaptureContentTypeHeader", {})
        return cls(
            destination=config["DestinationS3Uri"].rstrip("/"),
            percentage=config["InitialSamplingPercentage"],
            captures_input=bool(modes & {"Input", "InputAndOutput"}),
            captures_output=bool(modes & {"Output", "InputAndOutput"}),
            csv_types=types.get("CsvContentTypes", ()),
            json_types=types.get("JsonContentTypes", ()),
        )

    def describe(self) -> dict[str, Any]:
        """As DescribeEndpoint has it."""
        return {
            "EnableCapture": True,
            "CaptureStatus": "Started",
            "CurrentSamplingPercentage": self.percentage,
            "DestinationS3Uri": self.destination,
            "KmsKeyId": "",
        }

    def samples(self) -> bool:
        """Whether this request is in the sample."""
        return random.random() * 100 < self.percentage  # noqa: S311 - a sample, not a secret

    def record(
        self, request: Message, answer: Message, moment: datetime, event_id: str, **metadata: str | None
    ) -> dict[str, Any]:
        """The captured invocation; `metadata` that is None is left out."""
        sides = {}
        if self.captures_input:
            sides["endpointInput"] = self._side(request, "INPUT")
        if self.captures_output:
            sides["endpointOutput"] = self._side(answer, "OUTPUT")
        given = {name: value for name, value in metadata.items() if value is not None}
        inference_time = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "captureData": sides,
            "eventMetadata": {"eventId": event_id, **given, "inferenceTime": inference_time},
            "eventVersion": "0",
        }

    def _side(self, message: Message, mode: str) -> dict[str, str]:
        encoding, data = self._encoded(message)
        return {
            "observedContentType": message.content_type,
            "mode": mode,
            "data": data,
            "encoding": encoding,
        }

    def _encoded(self, message: Message) -> tuple[str, str]:
        """Text if its type is listed, whatever the type's parameters; everything else as base64."""
        media_type = message.content_type.partition(";")[0].strip()
        for encoding, types in (("CSV", self.csv_types), ("JSON", self.json_types)):
            if media_type in types:
                return encoding, message.data.decode("utf-8", "replace")
        return "BASE64", base64.b64encode(message.data).decode()


class Capture:
    """Writes records to `<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/<file>.jsonl`, a batch a file."""

    def __init__(self, config: CaptureConfig, endpoint: str, storage: JobStorage) -> None:
        self.config = config
        self._storage = storage
        self._destination = S3Location.of(f"{config.destination}/{endpoint}")
        self._pending: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._flush_until_closed, name=f"capture-{endpoint}", daemon=True).start()

    def add(self, variant: str, request: Message, answer: Message, **metadata: str | None) -> None:
        """Put an invocation in the next file of its variant and hour."""
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
