"""QualityCheck and ClarifyCheck steps: an analyzer's job, and what becomes of its baseline."""

from __future__ import annotations

import json
from typing import Any

from sluice.containers.configuration import outputs_of
from sluice.containers.data import DataError, S3Location
from sluice_local.sagemaker.api.core import ApiError, Item
from sluice_local.sagemaker.jobs.processing import PROCESSING
from sluice_local.sagemaker.pipelines import access
from sluice_local.sagemaker.pipelines.access import call
from sluice_local.sagemaker.pipelines.definition.checks import CHECKS, FLAGS, MEMBERS, PROPERTIES, Check
from sluice_local.sagemaker.pipelines.definition.resolving import resolved
from sluice_local.sagemaker.pipelines.work import jobs
from sluice_local.sagemaker.pipelines.work.task import StepFailedError, Task

_VIOLATIONS = "constraint_violations.json"
_BASELINE = "/opt/ml/processing/baseline"
_TOLD = ("CheckType", "ModelPackageGroupName", "SkipCheck", "RegisterNewBaseline")


def run(task: Task) -> Any:
    """Run the analysis; returns the baselines that it calculated, and those that drift is judged by.

    Raises StepFailedError if there are violations, and the step is to fail by them.
    """
    own = _own(task)
    check, request = CHECKS[own["CheckType"]], task.arguments
    place = outputs_of(request)[0]["S3Output"]["S3Uri"].rstrip("/")
    calculated = {kind: f"{place}/{file}" for kind, file in check.files.items()}
    used = _used(task, check, own)
    is_checked = _is_checked(own, used)
    told = {
        **{name: own[name] for name in _TOLD},
        **{f"CalculatedBaseline{kind}": uri for kind, uri in calculated.items()},
        **{
            f"BaselineUsedForDriftCheck{kind}": uri
            for kind, uri in (calculated if own["RegisterNewBaseline"] else used).items()
        },
    }

    def metadata(arn: str, report: str | None = None) -> Item:
        known = {**told, "ViolationReport": report, "CheckJobArn": arn}
        return {task.step.type: {name: value for name, value in known.items() if value is not None}}

    name = task.name(request.get(PROCESSING.name_key))
    asked = {**_completed(request, own, used if is_checked else {}), PROCESSING.name_key: name}
    job = jobs.ended(task, PROCESSING, asked, metadata)
    report = f"{place}/{_VIOLATIONS}"
    if is_checked and (count := _violations(task, report)):
        known = metadata(job[PROCESSING.arn_key], report)
        if own["FailOnViolation"]:
            raise StepFailedError(_violated(check, report, count, used), None, known)
        task.tell(known)
    return {name: told.get(name) for name in PROPERTIES[task.step.type]}


def baseline(task: Task) -> Item:
    """Return the URIs of the baseline that the step would use now."""
    own = _own(task)
    return _used(task, CHECKS[own["CheckType"]], own)


def _own(task: Task) -> Item:
    """Return what the step says beside its arguments; flags that it leaves out have their defaults."""
    own: Item = resolved({name: task.step.own.get(name) for name in MEMBERS}, task.values)
    for name in own.keys() - FLAGS.keys():
        if own[name] is not None:
            task.text(name)
    return {**own, **{flag: usual for flag, usual in FLAGS.items() if own[flag] is None}}


def _violated(check: Check, report: str, count: int, used: Item) -> str:
    noun = check.step.removesuffix("Check")
    return (
        f"ClientError: {noun} check failed. See violation report {report}, which has {count} violations of "
        f"the baseline {used['Constraints']}."
    )


def _is_checked(own: Item, used: Item) -> bool:
    """Tell whether data are held against a baseline; raises StepFailedError if there is none.

    The first baseline of all, which the step is to register, has none to be held against.
    """
    if own["SkipCheck"]:
        return False
    if not used.get("Constraints") and not own["RegisterNewBaseline"]:
        raise StepFailedError(_no_baseline(own))
    return bool(used.get("Constraints"))


def _used(task: Task, check: Check, own: Item) -> Item:
    """Return the baseline of the group's newest approved version, or else the one that the step supplies."""
    supplied = {kind: own.get(f"SuppliedBaseline{kind}") for kind in check.files}
    found = {kind: uri for kind, uri in supplied.items() if uri}
    if group := own["ModelPackageGroupName"]:
        kept = _drift_baselines(task, group).get(check.baseline, {})
        found |= {kind: kept[key]["S3Uri"] for kind, key in check.keys.items() if key in kept}
    return found


def _drift_baselines(task: Task, group: str) -> Item:
    asked = {
        "ModelPackageGroupName": group,
        "ModelApprovalStatus": "Approved",
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": 1,
    }
    try:
        listed = call(task.scope, task.role, "ListModelPackages", asked)["ModelPackageSummaryList"]
    except ApiError as error:
        if error.code == "AccessDeniedException":
            raise
        return {}  # the pipeline's first execution makes the group
    if not listed:
        return {}
    arn = listed[0]["ModelPackageArn"]
    package = call(task.scope, task.role, "DescribeModelPackage", {"ModelPackageName": arn})
    baselines: Item = package.get("DriftCheckBaselines", {})
    return baselines


def _no_baseline(own: Item) -> str:
    group = own["ModelPackageGroupName"]
    where = f"no approved version of {group} has one, and " if group else ""
    return (
        f"ClientError: there is no baseline to check against: {where}the step supplies none. Register one by "
        "RegisterNewBaseline, supply one, or skip the check."
    )


def _completed(request: Item, own: Item, used: Item) -> Item:
    """Return the job's request with the baseline to compare with, and the model to ask."""
    inputs, environment = list(request.get("ProcessingInputs") or ()), dict(request.get("Environment") or {})
    for kind, uri in used.items():
        name = f"baseline_{kind.lower()}"
        environment[name] = folder = f"{_BASELINE}/{kind.lower()}"
        source = {"S3Uri": uri, "LocalPath": folder, "S3DataType": "S3Prefix", "S3InputMode": "File"}
        inputs.append({"InputName": name, "S3Input": source})
    if own["ModelName"]:
        environment["model_name"] = own["ModelName"]
    return {**request, "ProcessingInputs": inputs, "Environment": environment}


def _violations(task: Task, uri: str) -> int:
    storage = access.storage(task.scope, task.role)
    try:
        return len(json.loads(storage.read(S3Location.of(uri)))["violations"])
    except (DataError, ValueError, KeyError) as error:
        raise StepFailedError(f"ClientError: the violation report cannot be read: {error}") from error
