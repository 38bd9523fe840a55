"""Read the metrics that a training script wrote to metrics.json, which its job stored in output.tar.gz.

The file is a JSON object of numbers by name. A number that is not finite (NaN, infinity, or beyond a float's
range) is None: it was reported, and is no number. Anything else is a problem, in a sentence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from sluice.domain.build import archives
from sluice.domain.build.archives import ArchiveError
from sluice.lazy import dataclass

NAME = "metrics.json"
# Where a script writes it, also by SM_OUTPUT_DATA_DIR.
PATH = f"/opt/ml/output/data/{NAME}"
ARCHIVE = "output.tar.gz"
MAX_BYTES = 256 * 1024
# What lies before it in the archive is unpacked up to this.
_UNPACKED_MAX = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reported:
    """The wanted metrics that the file has, and what keeps the others from being read."""

    metrics: Mapping[str, float | None] = field(default_factory=dict)
    problem: str | None = None


def read(chunks: Iterable[bytes], wanted: Iterable[str]) -> Reported:
    """Read metrics from an output.tar.gz, at most a bounded part of it."""
    try:
        data = archives.content(chunks, NAME, MAX_BYTES, _UNPACKED_MAX)
    except ArchiveError as error:
        return Reported(problem=f"{ARCHIVE}, where {NAME} is expected, {error}")
    if data is None:
        return Reported(problem=f"the script wrote no {PATH}")
    if len(data) > MAX_BYTES:
        return Reported(problem=f"{PATH} has more than {MAX_BYTES} bytes")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Reported(problem=f"{PATH} is no JSON: {error}")
    if not isinstance(document, dict):
        return Reported(problem=f'{PATH} is no JSON object of numbers, such as {{"accuracy": 0.9}}')
    return _numbers(document, wanted)


def _numbers(document: Mapping[str, Any], wanted: Iterable[str]) -> Reported:
    found, problems = dict[str, float | None](), list[str]()
    for name in wanted:
        if name not in document:
            continue
        value = document[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            problems.append(f"{name} in {PATH} is no number")
        else:
            found[name] = _finite(value)
    return Reported(found, "; ".join(problems) or None)


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
