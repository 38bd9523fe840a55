"""Write gates.json: how each gate of a run was judged, with values, intervals and slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sluice.domain import names
from sluice.domain.build.verdicts import Verdict

FORMAT = "sluice-gates/1"


def document(
    verdict: Verdict,
    *,
    pipeline: str,
    run_id: str,
    project_version: str,
    judged_at: str,
    evaluation_sha256: str,
    champion: Mapping[str, Any] | None,
    models: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the file's content; `models` are the run's evaluations with their models' URIs."""
    return {
        "format": FORMAT,
        "pipeline": pipeline,
        "run_id": run_id,
        "project_version": project_version,
        "judged_at": judged_at,
        "passed": verdict.passed,
        "evaluation_sha256": evaluation_sha256,
        "champion": None if champion is None else dict(champion),
        "models": [{"role": each.get("role"), "model_uri": each.get("model_uri")} for each in models],
        "gates": [asdict(result) for result in verdict.results],
    }


def refuses(step: Mapping[str, Any]) -> bool:
    """Tell whether a run's step judged the candidate, and a gate failed: the step itself completed."""
    return step["step"] == names.GATES and not all(gate["passed"] for gate in step.get("detail") or ())
