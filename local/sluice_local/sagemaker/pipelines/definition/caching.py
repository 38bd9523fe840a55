"""Cache keys of steps: by what a step reads and is told, not by where its inputs happen to lie."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.resolving import Values, resolved

_UNITS_S = {"Y": 31536000, "M": 2592000, "W": 604800, "D": 86400, "H": 3600, "MIN": 60, "S": 1}
# AWS takes them without their P too: the SDK's own tests say "T30m".
_DURATION = re.compile(
    r"(?=[PT])P?(?:(?P<Y>\d{1,9})Y)?(?:(?P<M>\d{1,9})M)?(?:(?P<W>\d{1,9})W)?(?:(?P<D>\d{1,9})D)?"
    r"(?:T(?:(?P<H>\d{1,9})H)?(?:(?P<MIN>\d{1,9})M)?(?:(?P<S>\d{1,9})S)?)?",
    re.IGNORECASE,
)
# Where a step writes; what lies there before does not matter to it.
_WRITTEN = frozenset(
    {
        *("ProcessingOutputConfig", "OutputDataConfig", "TransformOutput"),
        *("CheckpointConfig", "DebugHookConfig", "ProfilerConfig", "TensorBoardOutputConfig"),
    }
)
# These differ in each execution; in an output's path they must not spoil the cache.
_OF_ONE_EXECUTION = ("PipelineExecutionId", "PipelineExecutionArn")
Content = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """Whether results of earlier executions are used, and how old they may be; None for any age."""

    enabled: bool = False
    expire_after_s: float | None = None


def read(step: str, declared: Any) -> CacheConfig:
    """Read the CacheConfig of a step; raises DefinitionError."""
    enabled, expires = declared.get("Enabled", False), declared.get("ExpireAfter")
    if not isinstance(enabled, bool):
        raise DefinitionError(f"Step {step}: CacheConfig.Enabled must be true or false, not {enabled!r}.")
    return CacheConfig(enabled, None if expires is None else duration_s(step, expires))


def duration_s(step: str, text: Any) -> float:
    """Return the seconds of an ISO 8601 duration such as `P30D` or `PT1H`; raises DefinitionError."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    seconds = {unit: int(count) for unit, count in (found.groupdict() if found else {}).items() if count}
    if not seconds:
        raise DefinitionError(
            f"Step {step}: CacheConfig.ExpireAfter must be an ISO 8601 duration such as P30D or PT1H, "
            f"not {text!r}."
        )
    return sum(count * _UNITS_S[unit] for unit, count in seconds.items())


def cache_key(kind: str, told: Mapping[str, Any], values: Values, content: Content) -> str:
    """Return the key of what a step is told: two steps with the same key have the same results.

    `content` digests what lies at an S3 URI, None if nothing does; the URI counts then.
    """
    symbols = {name: f"{{{name}}}" for name in _OF_ONE_EXECUTION}
    known = resolved(dict(told), replace(values, execution={**values.execution, **symbols}))
    text = json.dumps([kind, _by_content(known, content)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _by_content(value: Any, content: Content) -> Any:
    if isinstance(value, dict):
        return {key: item if key in _WRITTEN else _by_content(item, content) for key, item in value.items()}
    if isinstance(value, list):
        return [_by_content(item, content) for item in value]
    # Hyperparameters of script mode are JSON in JSON.
    if isinstance(value, str) and (uri := value.strip('"')).startswith("s3://"):
        return content(uri) or value
    return value
