"""QualityCheck and ClarifyCheck steps: what they may ask, and what becomes of baselines.

The SageMaker guide tells it in "Baseline calculation, drift detection and lifecycle with ClarifyCheck and
QualityCheck steps".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.references import function_of

_BASELINES = ("SuppliedBaselineStatistics", "SuppliedBaselineConstraints")
# By default a check is made, fails by violations, and registers nothing.
FLAGS = {"SkipCheck": False, "FailOnViolation": True, "RegisterNewBaseline": False}
MEMBERS = ("CheckType", "ModelPackageGroupName", "ModelName", *FLAGS, *_BASELINES)
_CONSTRAINTS = ("CalculatedBaselineConstraints", "BaselineUsedForDriftCheckConstraints")
_STATISTICS = ("CalculatedBaselineStatistics", "BaselineUsedForDriftCheckStatistics")
PROPERTIES = {
    "QualityCheck": frozenset({*_CONSTRAINTS, *_STATISTICS}),
    "ClarifyCheck": frozenset(_CONSTRAINTS),
}
_SCRIPTS = ("record_preprocessor_script", "post_analytics_processor_script")


@dataclass(frozen=True, slots=True)
class Check:
    """A type of check: its step's type, the files of its job, and where a version keeps them as baseline."""

    step: str
    files: Mapping[str, str]
    baseline: str
    keys: Mapping[str, str]


_MONITORED = {"Constraints": "constraints.json", "Statistics": "statistics.json"}
_MONITORED_KEYS = {"Constraints": "Constraints", "Statistics": "Statistics"}
_ANALYZED = {"Constraints": "analysis.json"}
CHECKS = {
    "DATA_QUALITY": Check("QualityCheck", _MONITORED, "ModelDataQuality", _MONITORED_KEYS),
    "MODEL_QUALITY": Check("QualityCheck", _MONITORED, "ModelQuality", _MONITORED_KEYS),
    "DATA_BIAS": Check("ClarifyCheck", _ANALYZED, "Bias", {"Constraints": "PreTrainingConstraints"}),
    "MODEL_BIAS": Check("ClarifyCheck", _ANALYZED, "Bias", {"Constraints": "PostTrainingConstraints"}),
    "MODEL_EXPLAINABILITY": Check(
        "ClarifyCheck", _ANALYZED, "Explainability", {"Constraints": "Constraints"}
    ),
}
# The analyzer asks these models.
_OF_MODELS = ("MODEL_BIAS", "MODEL_EXPLAINABILITY")


def check(name: str, kind: str, item: Mapping[str, Any]) -> None:
    """Raise DefinitionError for a check that cannot be made."""
    wanted = item.get("CheckType")
    known = [word for word, each in CHECKS.items() if each.step == kind]
    if wanted not in known:
        raise DefinitionError(
            f"Step {name}: CheckType of a {kind} step must be one of {', '.join(known)}, not {wanted!r}."
        )
    for flag in FLAGS:
        given = item.get(flag)
        if not isinstance(given, bool | None) and not function_of(given):
            raise DefinitionError(f"Step {name}: {flag} must be true or false, not {given!r}.")
    if wanted in _OF_MODELS and not item.get("ModelName"):
        raise DefinitionError(f"Step {name}: a check of the type {wanted} needs ModelName.")
    arguments = item.get("Arguments") or {}
    for script in _SCRIPTS:
        if (arguments.get("Environment") or {}).get(script):
            raise DefinitionError(f"Step {name}: the local SageMaker runs no {script}; leave it out.")
    outputs = (arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    if len(outputs) != 1:
        raise DefinitionError(
            f"Step {name}: Arguments.ProcessingOutputConfig.Outputs must be the one output of the analysis."
        )
