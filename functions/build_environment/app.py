"""Build the Python packages of jobs on Lambda: those of the framework's image and of requirements.txt."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.domain.build.environments import NoEnvironmentError, Wanted
from sluice.events import BuildEnvironmentTask, event_parser
from sluice.observability import logger
from sluice.ports import Cloud, PackageArchive
from sluice.services import building
from sluice.services.build import environments
from sluice.services.build.environments import EnvironmentBuildingError
from sluice.tasks import machine_task

# Time to upload the archive and to record it.
_RESERVE_S = 60


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=BuildEnvironmentTask)
def lambda_handler(task: BuildEnvironmentTask, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    logger.append_keys(pipeline=task.pipeline, project_version=task.project_version)
    project = building.find_project(cloud, task.pipeline, task.project_version)
    run = building.find_run(cloud, task.pipeline, task.run_id) if task.run_id else None
    config = building.overridden(project, run)
    if not environments.are_wanted(cloud, config):
        return {"status": "not needed"}
    try:
        wanted = environments.want(cloud, project, config)
        return _ensure(cloud, wanted, context)
    except NoEnvironmentError as error:
        return {"status": "failed", "problem": str(error)}
    except EnvironmentBuildingError:
        if task.run_id is None:  # nobody waits for the answer to a push
            return {"status": "building"}
        raise


def _ensure(cloud: Cloud, wanted: Wanted, context: LambdaContext) -> dict[str, str]:
    def build(wanted: Wanted) -> PackageArchive:
        return cloud.packages.build(
            wanted, Path(folder), lambda: context.get_remaining_time_in_millis() / 1000 - _RESERVE_S
        )

    with tempfile.TemporaryDirectory() as folder:  # a warm function keeps the files in its storage
        environment = environments.ensure(cloud, wanted, build, int(context.memory_limit_in_mb))
    return {"status": "ready", "digest": str(environment.digest)}
