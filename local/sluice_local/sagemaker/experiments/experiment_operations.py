"""The operations on experiments and their trials."""

from __future__ import annotations

from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import created, list_page
from sluice_local.sagemaker.experiments import stored
from sluice_local.sagemaker.experiments.stored import COMPONENTS, EXPERIMENTS, TRIALS


@operation("CreateExperiment")
def create_experiment(scope: Scope, params: dict[str, Any]) -> Item:
    return EXPERIMENTS.create(scope, params["ExperimentName"], _made(params, "ExperimentName"))


@operation("CreateTrial")
def create_trial(scope: Scope, params: dict[str, Any]) -> Item:
    experiment = stored.require_parent(scope, params["ExperimentName"])
    content = {**_made(params, "TrialName"), "ExperimentName": experiment["ExperimentName"]}
    return TRIALS.create(scope, params["TrialName"], content)


def _made(params: dict[str, Any], name: str) -> Item:
    by = CALLER.get().context()
    return {"DisplayName": params[name], **params, "CreatedBy": by, "LastModifiedBy": by}


@operation("DescribeExperiment")
def describe_experiment(scope: Scope, params: dict[str, Any]) -> Item:
    return EXPERIMENTS.get(scope, EXPERIMENTS.name(scope, params["ExperimentName"]))


@operation("DescribeTrial")
def describe_trial(scope: Scope, params: dict[str, Any]) -> Item:
    return TRIALS.get(scope, TRIALS.name(scope, params["TrialName"]))


@operation("UpdateExperiment")
def update_experiment(scope: Scope, params: dict[str, Any]) -> Item:
    asked = {name: params[name] for name in ("DisplayName", "Description") if name in params}
    return EXPERIMENTS.change(scope, params["ExperimentName"], **asked, LastModifiedBy=CALLER.get().context())


@operation("UpdateTrial")
def update_trial(scope: Scope, params: dict[str, Any]) -> Item:
    asked = {name: params[name] for name in ("DisplayName",) if name in params}
    return TRIALS.change(scope, params["TrialName"], **asked, LastModifiedBy=CALLER.get().context())


@operation("ListExperiments")
def list_experiments(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(
        EXPERIMENTS.values(scope),
        created(params),
        result_key="ExperimentSummaries",
        name_key="ExperimentName",
        descending=True,
    )


@operation("ListTrials")
def list_trials(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(
        _listed(scope, params),
        created(params),
        result_key="TrialSummaries",
        name_key="TrialName",
        descending=True,
    )


def _listed(scope: Scope, params: dict[str, Any]) -> list[Item]:
    if experiment := params.get("ExperimentName"):
        found = stored.trials_of(scope, stored.require_parent(scope, experiment)["ExperimentName"])
    else:
        found = TRIALS.values(scope)
    if component := params.get("TrialComponentName"):
        named = stored.trial_names(COMPONENTS.get(scope, COMPONENTS.name(scope, component)))
        names = {name.lower() for name in named}
        found = [trial for trial in found if trial["TrialName"].lower() in names]
    return found


@operation("DeleteExperiment")
def delete_experiment(scope: Scope, params: dict[str, Any]) -> Item:
    name = params["ExperimentName"]
    experiment = EXPERIMENTS.get(scope, name)
    if stored.trials_of(scope, name):
        raise ApiError("ValidationException", f"{experiment['ExperimentArn']} has trials: delete them first.")
    return EXPERIMENTS.delete(scope, name)


@operation("DeleteTrial")
def delete_trial(scope: Scope, params: dict[str, Any]) -> Item:
    name = params["TrialName"]
    trial = TRIALS.get(scope, name)
    if stored.components_of(scope, name):
        raise ApiError(
            "ValidationException", f"{trial['TrialArn']} has trial components: disassociate them first."
        )
    return TRIALS.delete(scope, name)
