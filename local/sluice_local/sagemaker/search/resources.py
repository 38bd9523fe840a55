"""What Search finds: the resources, and what is said of them only there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sluice_local.sagemaker.api.core import Item, Scope, Table
from sluice_local.sagemaker.experiments import metrics, stored
from sluice_local.sagemaker.hosting.live_endpoints import ENDPOINTS
from sluice_local.sagemaker.hosting.models import MODELS
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.pipelines.definition.parameters import as_pairs
from sluice_local.sagemaker.pipelines.stored import EXECUTIONS, PIPELINES
from sluice_local.sagemaker.registry.groups import GROUPS, PACKAGES


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of resource: how records name it, and its items."""

    record: str
    name_key: str
    items: Callable[[Scope], Iterable[Item]]


def _of(record: str, table: Table) -> Resource:
    return Resource(record, table.name_key, table.values)


def _components(scope: Scope) -> Iterable[Item]:
    for item in stored.all_components(scope):
        yield {
            **metrics.measured(scope, item),
            "Parents": stored.parents(scope, item),
            "RunName": item["TrialComponentName"],
        }


def _executions(scope: Scope) -> Iterable[Item]:
    for item in EXECUTIONS.values(scope):
        yield {**item, "PipelineParameters": as_pairs(item["_Parameters"])}


def _models(scope: Scope) -> Iterable[Item]:
    for item in MODELS.values(scope):
        yield {**item, "Model": item}


RESOURCES = {
    "ModelPackageGroup": _of("ModelPackageGroup", GROUPS),
    "ModelPackage": _of("ModelPackage", PACKAGES),
    "TrainingJob": _of("TrainingJob", TRAINING.table),
    "Endpoint": _of("Endpoint", ENDPOINTS),
    "Model": Resource("Model", MODELS.name_key, _models),
    "Pipeline": _of("Pipeline", PIPELINES),
    "PipelineExecution": Resource("PipelineExecution", EXECUTIONS.name_key, _executions),
    "Experiment": _of("Experiment", stored.EXPERIMENTS),
    "ExperimentTrial": _of("Trial", stored.TRIALS),
    "ExperimentTrialComponent": Resource("TrialComponent", "TrialComponentName", _components),
}
