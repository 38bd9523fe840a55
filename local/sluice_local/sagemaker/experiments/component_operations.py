"""The operations on trial components, and on what trials they are part of."""

from __future__ import annotations

from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import created, list_page
from sluice_local.sagemaker.experiments import metrics, stored
from sluice_local.sagemaker.experiments.stored import COMPONENTS, TRIALS

_MAPS = ("Parameters", "InputArtifacts", "OutputArtifacts")
_VALUES = ("DisplayName", "Status", "StartTime", "EndTime")


@operation("CreateTrialComponent")
def create_trial_component(scope: Scope, params: dict[str, Any]) -> Item:
    name, by = params["TrialComponentName"], CALLER.get().context()
    made = {"DisplayName": name, **params, "CreatedBy": by, "LastModifiedBy": by}
    return COMPONENTS.create(scope, name, made)


@operation("DescribeTrialComponent")
def describe_trial_component(scope: Scope, params: dict[str, Any]) -> Item:
    return metrics.measured(scope, COMPONENTS.get(scope, _key(scope, params)))


@operation("UpdateTrialComponent")
def update_trial_component(scope: Scope, params: dict[str, Any]) -> Item:
    def changed(item: Item) -> Item:
        changes: Item = {name: params[name] for name in _VALUES if name in params}
        for name in _MAPS:
            removed = set(params.get(f"{name}ToRemove", ()))
            whole = {**item.get(name, {}), **params.get(name, {})}
            changes[name] = {key: value for key, value in whole.items() if key not in removed}
        return {**changes, "LastModifiedBy": CALLER.get().context()}

    return COMPONENTS.edit(scope, _key(scope, params), changed)


@operation("ListTrialComponents")
def list_trial_components(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(
        _listed(scope, params),
        created(params),
        result_key="TrialComponentSummaries",
        name_key="TrialComponentName",
        descending=True,
    )


def _listed(scope: Scope, params: dict[str, Any]) -> list[Item]:
    given = [name for name in ("SourceArn", "TrialName", "ExperimentName") if name in params]
    if len(given) > 1:
        raise ApiError("ValidationException", f"Only one of {', '.join(given)} may be given.")
    if "SourceArn" in params:
        return stored.component_of_job(scope, params["SourceArn"])
    if "TrialName" in params:
        trial = TRIALS.get(scope, TRIALS.name(scope, params["TrialName"]))
        return stored.components_of(scope, trial["TrialName"])
    if "ExperimentName" in params:
        experiment = stored.require_parent(scope, params["ExperimentName"])["ExperimentName"]
        return stored.components_of_experiment(scope, experiment)
    return stored.all_components(scope)


@operation("DeleteTrialComponent")
def delete_trial_component(scope: Scope, params: dict[str, Any]) -> Item:
    component = COMPONENTS.get(scope, _key(scope, params))
    if trials := stored.trial_names(component):
        raise ApiError(
            "ValidationException",
            f"{component['TrialComponentArn']} is part of the trial {trials[0]}: disassociate it first.",
        )
    return COMPONENTS.delete(scope, component["TrialComponentName"])


@operation("AssociateTrialComponent")
def associate_trial_component(scope: Scope, params: dict[str, Any]) -> Item:
    trial = TRIALS.get(scope, TRIALS.name(scope, params["TrialName"]))
    name = trial["TrialName"]

    def joined(item: Item) -> Item:
        return {"_Trials": [*(each for each in stored.trial_names(item) if each != name), name]}

    return {**COMPONENTS.edit(scope, _key(scope, params), joined), "TrialArn": trial["TrialArn"]}


@operation("DisassociateTrialComponent")
def disassociate_trial_component(scope: Scope, params: dict[str, Any]) -> Item:
    trial = TRIALS.get(scope, TRIALS.name(scope, params["TrialName"]))
    name = trial["TrialName"].lower()

    def parted(item: Item) -> Item:
        return {"_Trials": [each for each in stored.trial_names(item) if each.lower() != name]}

    return {**COMPONENTS.edit(scope, _key(scope, params), parted), "TrialArn": trial["TrialArn"]}


def _key(scope: Scope, params: dict[str, Any]) -> str:
    return COMPONENTS.name(scope, params["TrialComponentName"])
