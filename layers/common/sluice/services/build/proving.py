"""Prove the model of a stage without an endpoint: a transform job answers the project's sample.

Nothing serves meanwhile but what served before: the next transform uses a model once its stage points to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sluice.catalog.changes import transforms as changes
from sluice.domain.release import answers, serving, transforms
from sluice.services.building import locations
from sluice.services.release import model_packages, transforming

if TYPE_CHECKING:
    from sluice.ports import Cloud
    from sluice.release_events import DeployModelTask, ReleaseStageTask
    from sluice.services.release.model_packages import Package

_SAMPLE = "sample"


def start(cloud: Cloud, task: DeployModelTask, package: Package) -> str:
    """Have the sample answered; the end of the job answers the task. Returns the job's name."""
    name, place = task.stage.endpoint_config_name, _place(cloud, task)
    owner = model_packages.owner(cloud, task)
    cloud.objects.write(f"{place}/input/{_SAMPLE}", model_packages.sample(cloud, package))
    request = transforms.proof_request(name, task.stage.model_name, package.config.serve, place, owner)
    # Store the token first: the event may come before the answer to the request.
    waiting = replace(
        transforming.task_of(cloud, name, task.pipeline),
        release_id=task.release_id,
        step=task.stage.stage,
        task_token=task.task_token,
    )
    cloud.catalog.apply(changes.await_proof(waiting))
    if not cloud.jobs.start("transform_job", request):
        # An earlier attempt made it: it may have ended before this one waited.
        transforming.look_again(cloud, name)
    return name


def faults(cloud: Cloud, task: ReleaseStageTask, package: Package) -> list[str]:
    """Say what is wrong with the model, or with what it answered."""
    model = cloud.endpoints.describe_model(task.stage.model_name)
    wanted = model_packages.model_request(cloud, task, package, model_packages.find_evidence(cloud, package))
    if found := serving.model_faults(model, wanted):
        return found
    try:
        body = cloud.objects.read(f"{_place(cloud, task)}/{transforms.OUTPUT}/{_SAMPLE}.out")
    except FileNotFoundError:
        return [f"the transform job {task.stage.endpoint_config_name} wrote no answer to the sample"]
    accept = package.config.serve.accept
    return answers.faults(body.rstrip(b"\n"), accept, accept)


def _place(cloud: Cloud, task: ReleaseStageTask) -> str:
    return locations(cloud, task.pipeline).transform(f"{task.release_id}-{task.stage.stage}")
