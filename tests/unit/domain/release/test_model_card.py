"""A model card says what is on record, and names each thing that is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.domain.config import PipelineConfig
from sluice.domain.config.statistics import Bias
from sluice.domain.release import model_card
from sluice.domain.release.model_card import Known

COMMIT = {"commit": "a" * 40, "is_clean": True}
MANIFEST: dict[str, Any] = {
    "actor": "arn:aws:iam::123456789012:user/ada",
    "inputs": {"dataset_version": "v1", "source": COMMIT},
    "artifacts": [{"name": "model", "uri": "s3://a/model.tar.gz"}],
    "steps": [],
    "candidate": "train-0",
    "evaluation": {"metrics": {"accuracy": 0.9}},
    "environments": [{"steps": ["prepare"], "packages": ["numpy==1.26.4"]}],
    "serving": {"container": {"Image": "image"}},
}


@pytest.fixture
def known(pipeline_config: PipelineConfig) -> Known:
    bias = Bias(facets=("verified",), favorable_labels=("great",))
    config = pipeline_config.model_copy(
        update={"data": pipeline_config.data.model_copy(update={"bias": bias})}
    )
    return Known(MANIFEST, "reviews/1", "arn", 1, f"sha256:{'d' * 64}", config)


def gaps(known: Known) -> set[str]:
    found = {f"{each['section']}.{each['field']}: {each['what']}" for each in model_card.gaps(known)}
    alone = {f"{section}.{field}: {what}" for (section, field), what in model_card._ONLY_PEOPLE_KNOW.items()}
    assert found >= alone
    return found - alone


def test_of_a_run_that_wrote_all_down_only_what_people_know_is_a_gap(known: Known) -> None:
    assert gaps(known) == set()


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        ({"actor": "unknown"}, "model_overview.model_creator: who or what started the run"),
        (
            {"inputs": {"dataset_version": "v1", "source": {**COMMIT, "is_clean": False}}},
            "training_details.source: changes that the commit does not have",
        ),
        (
            {"inputs": {"dataset_version": "v1", "source": None}},
            "training_details.source: the git commit of the project",
        ),
        (
            {"environments": [{"steps": ["train-0", "evaluate"], "packages": []}]},
            "training_details.training_environment: the packages of train-0, evaluate",
        ),
    ],
)
def test_what_a_run_did_not_write_down_is_named(known: Known, changes: dict[str, Any], gap: str) -> None:
    assert gaps(replace(known, manifest={**MANIFEST, **changes})) == {gap}


def test_a_card_without_its_project_or_its_digest_says_so_and_the_rest(known: Known) -> None:
    lone = replace(known, config=None, image_digest=None)
    assert gaps(lone) == {
        "training_details.objective_function: the project, which is gone from the catalog",
        "model_overview.inference_environment: the digest of the image that serves",
    }
    card = model_card.document(lone)["card"]
    assert card["additional_information"] == {}
    assert "objective_function" not in card["training_details"]
    assert card["model_overview"]["inference_environment"] == {"container_image": ["image"]}


def test_a_project_without_facets_says_nothing_of_bias(known: Known, pipeline_config: PipelineConfig) -> None:
    assert pipeline_config.data.bias is None
    (gap,) = gaps(replace(known, config=pipeline_config))
    assert gap == "evaluation_details.bias: the data's bias: the project names no facets"
