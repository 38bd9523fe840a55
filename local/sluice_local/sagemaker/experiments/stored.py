"""Experiments, trials, and trial components: those that users make, and one for each job.

A job's component is what the job's description says; a user's changes of it are laid over that. Names count
without regard to case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table
from sluice_local.sagemaker.api.derived import DerivedTable
from sluice_local.sagemaker.api.index import Index
from sluice_local.sagemaker.experiments import job_components
from sluice_local.sagemaker.jobs.lifecycle import JobKind
from sluice_local.sagemaker.jobs.processing import PROCESSING
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.jobs.transform import TRANSFORM

KINDS = (TRAINING, PROCESSING, TRANSFORM)


def _named(kind: JobKind) -> Index[Scope]:
    return kind.table.index(lambda _, job: [job[kind.name_key].lower()])


def _in_trial(kind: JobKind) -> Index[Scope]:
    return kind.table.index(lambda _, job: [name.lower() for name in job_components.trials(job)])


_JOBS = {kind.noun: _named(kind) for kind in KINDS}
_JOBS_OF_TRIALS = {kind.noun: _in_trial(kind) for kind in KINDS}


def _of_job(scope: Scope, name: str) -> Item | None:
    key = name.lower()
    for kind in KINDS:
        if key.endswith(ending := job_components.ending(kind)):
            jobs = _JOBS[kind.noun].find(scope, key.removesuffix(ending))
            return job_components.described(scope, kind, jobs[-1]) if jobs else None
    return None


EXPERIMENTS = Table("Experiment", "experiment", "ExperimentName", ignores_case=True)
TRIALS = Table("Trial", "experiment-trial", "TrialName", ignores_case=True)
COMPONENTS = DerivedTable(
    "Trial component", "experiment-trial-component", "TrialComponentName", _of_job, ignores_case=True
)

_TRIALS_OF = TRIALS.index(lambda _, trial: [trial["ExperimentName"].lower()])
_COMPONENTS_OF = COMPONENTS.index(lambda _, item: [name.lower() for name in item.get("_Trials", ())])


def trials_of(scope: Scope, experiment: str) -> list[Item]:
    """Return the trials of an experiment, in order of creation."""
    return _TRIALS_OF.find(scope, experiment.lower())


def trial_names(component: Item) -> list[str]:
    """Return the trials that a component is part of."""
    return list(component.get("_Trials", ()))


def components_of(scope: Scope, trial: str) -> list[Item]:
    """Return the components of a trial, in order of creation."""
    names = {item["TrialComponentName"].lower(): None for item in _derived_of(scope, trial.lower())}
    names |= {_key_of(item): None for item in _COMPONENTS_OF.find(scope, trial.lower())}
    found = (COMPONENTS.find(scope, name) for name in names)
    return _sorted(
        item for item in found if item and trial.lower() in (name.lower() for name in trial_names(item))
    )


def components_of_experiment(scope: Scope, experiment: str) -> list[Item]:
    """Return the components of all trials of an experiment, in order of creation."""
    found = {
        item["TrialComponentName"]: item
        for trial in trials_of(scope, experiment)
        for item in components_of(scope, trial["TrialName"])
    }
    return _sorted(found.values())


def _derived_of(scope: Scope, trial: str) -> Iterator[Item]:
    for kind in KINDS:
        for job in _JOBS_OF_TRIALS[kind.noun].find(scope, trial):
            yield job_components.described(scope, kind, job)


def component_of_job(scope: Scope, arn: str) -> list[Item]:
    """Return the component of the job with an ARN, in any case."""
    name = arn.rpartition("/")[2].lower()
    found = (COMPONENTS.find(scope, name + job_components.ending(kind)) for kind in KINDS)
    return [item for item in found if item and item["Source"]["SourceArn"].lower() == arn.lower()]


def all_components(scope: Scope) -> list[Item]:
    """Return all components, in order of creation."""
    names = {
        job[kind.name_key].lower() + job_components.ending(kind): None
        for kind in KINDS
        for job in kind.table.values(scope)
    }
    names |= {_key_of(item): None for item in COMPONENTS.values(scope) if "TrialComponentName" in item}
    return _sorted(item for name in names if (item := COMPONENTS.find(scope, name)))


def _key_of(item: Item) -> str:
    return str(item["TrialComponentName"]).lower()


def _sorted(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: item["CreationTime"])


def require_parent(scope: Scope, experiment: str) -> Item:
    """Return the experiment of a trial that is made; raises ApiError if there is none."""
    return EXPERIMENTS.get(scope, experiment)


def begin(scope: Scope, execution: Item) -> None:
    """Make the experiment and the trial that an execution of a pipeline names, where they are missing."""
    if not (config := execution.get("PipelineExperimentConfig")):
        return
    experiment, trial = config["ExperimentName"], config["TrialName"]
    by = {name: execution[name] for name in ("CreatedBy", "LastModifiedBy")}
    source = {"SourceArn": execution["PipelineArn"], "SourceType": "SageMakerPipeline"}
    _make(EXPERIMENTS, scope, experiment, {**by, "ExperimentName": experiment, "Source": source})
    source = {"SourceArn": execution["PipelineExecutionArn"], "SourceType": "SageMakerPipelineExecution"}
    described = {**by, "TrialName": trial, "ExperimentName": experiment, "Source": source}
    _make(TRIALS, scope, trial, described)


def _make(table: Table, scope: Scope, name: str, item: Item) -> None:
    try:
        table.create(scope, name, {**item, "DisplayName": name})
    except ApiError:  # earlier executions made it
        return


def parents(scope: Scope, component: Item) -> list[Item]:
    """Return the trials of a component with their experiments."""
    found = (TRIALS.find(scope, name) for name in trial_names(component))
    return [
        {"TrialName": trial["TrialName"], "ExperimentName": trial["ExperimentName"]}
        for trial in found
        if trial
    ]
