"""The part of pipeline.yaml that names a pipeline of SageMaker, which then makes the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sluice.domain.config.base import Model, ParameterName, ScalarValue

Fact = Literal["input_manifest", "code", "source", "output", "role", "image", "model_package_group"]
# The parameters that a run gives what it knows by itself, where the pipeline has parameters of these names.
CONVENTIONAL: Mapping[Fact, str] = {
    "input_manifest": "InputManifest",
    "code": "CodeUri",
    "source": "SourceUri",
    "output": "OutputUri",
    "role": "RoleArn",
    "image": "ImageUri",
    "model_package_group": "ModelPackageGroupName",
}


class Build(Model):
    """A pipeline of SageMaker in place of prepare, train and evaluate."""

    pipeline: str = Field(
        description="a file of the project: pipeline.py, with a function that returns the SDK's pipeline, or "
        "a definition's JSON",
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\.(py|json)$",
    )
    function: str = Field(
        "get_pipeline",
        description="the function of pipeline.py that returns the pipeline",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
    )
    parameters: dict[ParameterName, ScalarValue] = Field(
        {},
        description="values of the pipeline's parameters by name, in place of their defaults",
        max_length=200,
    )
    bind: dict[Fact, Annotated[str, Field(max_length=256)]] = Field(
        {},
        description="the names of parameters that take what a run knows, if others than InputManifest, "
        "CodeUri, SourceUri, OutputUri, RoleArn, ImageUri and ModelPackageGroupName",
    )

    @property
    def definition(self) -> str:
        """The file with the definition: of pipeline.py what `sluice push` made of it."""
        return self.pipeline if self.pipeline.endswith(".json") else f"{self.pipeline}.json"

    def parameter(self, fact: Fact) -> str:
        """Return the name of the parameter that takes a fact, if the pipeline has it."""
        return self.bind.get(fact) or CONVENTIONAL[fact]
