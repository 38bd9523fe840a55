"""Write a model card from what is on record: what nobody wrote down is a gap with a name, and never invented.

The sections and fields are those of SageMaker's model cards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.domain.build import sbom
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig

FORMAT = "sluice-model-card/1"
# What only people know: no record of a run can say it.
_ONLY_PEOPLE_KNOW = {
    ("model_overview", "model_owner"): "who answers for the model",
    ("intended_uses", "purpose_of_model"): "what the model is for",
    ("intended_uses", "intended_uses"): "which uses are intended, and which are not",
    ("intended_uses", "factors_affecting_model_efficiency"): "what makes it worse",
    ("intended_uses", "risk_rating"): "how much harm a wrong answer does",
    (
        "additional_information",
        "ethical_considerations",
    ): "whom it may treat unfairly, beyond what was measured",
    ("additional_information", "caveats_and_recommendations"): "what a user must know",
}
_UNTOLD = (None, "", "unknown")


@dataclass(frozen=True, slots=True)
class Known:
    """What a card is written from: the run manifest, the project, and how the version is called."""

    manifest: Mapping[str, Any]
    model: str
    arn: str
    version: int
    image_digest: str | None
    # None if the project is gone from the catalog.
    config: PipelineConfig | None


def document(known: Known) -> dict[str, Any]:
    """Return the card, and its gaps: each a field that is not known, and what it would say."""
    card = {
        "model_overview": _overview(known),
        "intended_uses": {},
        "training_details": _training(known),
        "evaluation_details": _evaluation(known),
        "additional_information": _additional(known),
    }
    return {"format": FORMAT, "card": card, "gaps": gaps(known)}


def gaps(known: Known) -> list[dict[str, str]]:
    """List what is not known, by the field that would say it."""
    found = dict(_ONLY_PEOPLE_KNOW)
    manifest = known.manifest
    source = manifest["inputs"].get("source") or {}
    if not source.get("commit"):
        found["training_details", "source"] = "the git commit of the project"
    elif not source.get("is_clean"):
        found["training_details", "source"] = "changes that the commit does not have"
    if manifest.get("actor") in _UNTOLD:
        found["model_overview", "model_creator"] = "who or what started the run"
    if not known.image_digest:
        found["model_overview", "inference_environment"] = "the digest of the image that serves"
    if steps := sbom.unlisted(manifest):
        found["training_details", "training_environment"] = f"the packages of {', '.join(steps)}"
    if known.config is None:
        found["training_details", "objective_function"] = "the project, which is gone from the catalog"
    elif known.config.data.bias is None:
        found["evaluation_details", "bias"] = "the data's bias: the project names no facets"
    return [{"section": section, "field": field, "what": what} for (section, field), what in found.items()]


def _overview(known: Known) -> dict[str, Any]:
    manifest = known.manifest
    framework = manifest.get("framework") or {}
    return _told(
        model_id=known.arn,
        model_name=known.model,
        model_version=known.version,
        model_creator=manifest.get("actor"),
        algorithm_type=" ".join(framework.values()),
        model_artifact=[each["uri"] for each in manifest["artifacts"] if each["name"] == "model"],
        inference_environment=_told(
            container_image=[manifest["serving"]["container"]["Image"]], image_digest=known.image_digest
        ),
    )


def _training(known: Known) -> dict[str, Any]:
    manifest, inputs = known.manifest, known.manifest["inputs"]
    found = (each for each in manifest["steps"] if each["step"] == manifest["candidate"])
    step: Mapping[str, Any] = next(found, {})
    return _told(
        objective_function=_objective(known.config),
        training_datasets=[
            _told(
                version=inputs["dataset_version"],
                objects=inputs.get("dataset_objects"),
                rows=inputs.get("dataset_rows"),
                size_bytes=inputs.get("dataset_size_bytes"),
            )
        ],
        training_job=_told(
            arn=step.get("job_arn"),
            name=step.get("job_name"),
            started_at=step.get("started_at"),
            ended_at=step.get("ended_at"),
        ),
        training_environment=[*(manifest.get("images") or ())],
        training_metrics=[
            {"name": name, "value": value} for name, value in (step.get("metrics") or {}).items()
        ],
        hyper_parameters=_pairs((manifest.get("parameters") or {}).get("train")),
        preparation=_pairs((manifest.get("parameters") or {}).get("prepare")),
        source=inputs.get("source") or None,
    )


def _objective(config: PipelineConfig | None) -> str | None:
    if config is None or config.build is not None:
        return None
    candidates = config.train.candidates
    return f"{candidates.direction} {candidates.objective}"


def _evaluation(known: Known) -> list[dict[str, Any]]:
    """Return what the hold-out said, and how each gate judged it."""
    manifest = known.manifest
    champion = manifest.get("champion") or {}
    return [
        _told(
            name="the run's hold-out",
            metrics=manifest["evaluation"].get("metrics") or {},
            compared_with=champion.get("package_arn"),
            gates=[
                _told(
                    gate=gate["gate"], passed=gate["passed"], value=gate.get("value"), why=gate.get("reason")
                )
                for gate in manifest.get("gates") or ()
            ],
        )
    ]


def _additional(known: Known) -> dict[str, Any]:
    config = known.config
    if config is None:
        return {}
    bias = config.data.bias
    return _told(
        label=config.data.label,
        facets=[*bias.facets] if bias else None,
        release_rules=config.release.model_dump(mode="json", exclude_defaults=True),
        is_monitored=config.monitor is not None,
    )


def _pairs(values: Mapping[str, Any] | None) -> Sequence[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in (values or {}).items()]


def _told(**said: Any) -> dict[str, Any]:
    """Leave out what is not known, rather than say null."""
    return {name: value for name, value in said.items() if value not in (*_UNTOLD, [], {})}
