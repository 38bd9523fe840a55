"""Capture data: choose an endpoint's requests and answers to keep, and make their records."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
        """Parse the config; None if nothing is captured."""
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
        """Describe it as DescribeEndpoint does."""
        return {
            "EnableCapture": True,
            "CaptureStatus": "Started",
            "CurrentSamplingPercentage": self.percentage,
            "DestinationS3Uri": self.destination,
            "KmsKeyId": "",
        }

    def samples(self) -> bool:
        """Draw whether this request is in the sample."""
        return random.random() * 100 < self.percentage  # noqa: S311 - a sample, not a secret

    def record(
        self, request: Message, answer: Message, moment: datetime, event_id: str, **metadata: str | None
    ) -> dict[str, Any]:
        """Make the record of an invocation, without `metadata` that is None."""
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
        """Encode as text if the type, ignoring parameters, is listed, else as base64."""
        media_type = message.content_type.partition(";")[0].strip()
        for encoding, types in (("CSV", self.csv_types), ("JSON", self.json_types)):
            if media_type in types:
                return encoding, message.data.decode("utf-8", "replace")
        return "BASE64", base64.b64encode(message.data).decode()
