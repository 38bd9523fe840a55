"""Records of builds: pipelines, their projects, runs with their steps, and tasks of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
ProjectStatus = Literal["registering", "active", "refused"]
RunEnd = Literal[
    "registered", "rejected", "data_rejected", "skipped", "failed", "stopped", "reproduced", "differed"
]
RunStatus = Literal["running"] | RunEnd
# The statuses of a step's job, before it exists, while it runs, and at its end.
StepStatus = Literal["Starting", "Waiting", "InProgress", "Stopping", "Completed", "Failed", "Stopped"]
JobKind = Literal["training_job", "processing_job", "pipeline_execution"]
StepKind = (
    JobKind | Literal["selection", "gates", "model_package", "comparison", "evaluation", "pipeline_step"]
)
# Pipelines of SageMaker are a backend of their own: they run a build's jobs themselves.
Backend = Literal["lambda", "sagemaker", "pipelines"]
EnvironmentStatus = Literal["building", "ready", "failed"]
TaskStatus = Literal["open", "done"]
RequestStatus = Literal["taken", "refused"]
Milestone = Literal["validated", "packaged", "selected", "judged", "registered"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline: its project, its build under way, its counters."""

    name: str
    project_version: str
    build_seq: int = 0
    budget_used: int = 0
    budget_day: str | None = None
    project_content: str | None = None
    project_pushed_at: str | None = None
    # Of the newest run.
    built_project_version: str | None = None
    built_content: str | None = None
    build_cause: str | None = None
    last_build_at: str | None = None
    # What a skipped run restores.
    former_build_at: str | None = None
    # The run that holds the build lock.
    in_flight: str | None = None
    # The last valid one.
    dataset_version: str | None = None
    group: str | None = None
    # All that pushes named, the newest last.
    groups: Sequence[str] = ()
    ask_delay_s: int | None = None
    control_name: str | None = None
    # When the awaited build request comes.
    build_requested_for: str | None = None
    # The release that began last.
    last_release: str | None = None
    # What the runs of a month cost, at list prices; how many have a step of unknown cost.
    spent_month: str | None = None
    spent_usd: float = 0.0
    unpriced_runs: int = 0
    # What the last five runs of known cost took that trained a model, the newest last.
    recent_costs_usd: Sequence[float] = ()
    # What building packages for Lambda cost the last time.
    packages_usd: float | None = None
    # Whether all its runs and data set versions are indexed; not if an older stack made it.
    is_indexed: bool = False
    # Whether all its stages are listed, and notes tell of what was set aside; not if an older stack made it.
    is_glanceable: bool = False
    # All stages that its projects ever had, by which their items are found; None if an older stack made it.
    stage_names: Sequence[str] | None = None
    # The version that was registered last.
    newest_package: str | None = None
    # The object whose recall the next build is for, and who recalled it.
    recalled_key: str | None = None
    recalled_by: str | None = None
    # Whether data were deleted that the last valid data set may hold.
    has_deletions: bool = False
    # What watching a model found, for which it asked for the next build.
    retrain_cause: str | None = None
    # Until when builds wait for their budget, as people were told.
    budget_told: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Pipeline:
        # Older stacks called the time of the awaited request `asks_at`.
        awaited = {"build_requested_for": item["asks_at"]} if item.get("asks_at") else {}
        return cls(**known(cls, {**awaited, **item}, name=keys.pipeline_of(item)))

    def spent_in(self, month: str) -> float:
        """Return what the runs of a month cost, as far as that is known."""
        return self.spent_usd if self.spent_month == month else 0.0

    @property
    def is_project_new(self) -> bool:
        """Whether the newest run read other content; a pipeline of an older stack knows only versions."""
        if self.project_content and self.built_content:
            return self.project_content != self.built_content
        return self.project_version != self.built_project_version

    @property
    def has_data(self) -> bool:
        """Whether there is a data set to build on."""
        return self.dataset_version is not None

    def builds_on(self, day: str) -> int:
        """Return how many builds of a day's budget are used."""
        return self.budget_used if self.budget_day == day else 0

    def item(self) -> Item:
        listed = keys.listed(keys.PIPELINES, self.name)
        return {**keys.pipeline_key(self.name), **listed, **attributes(self, "name")}


@dataclass(frozen=True, slots=True)
class Project:
    """A pushed version; a refused one has only its reasons."""

    pipeline: str
    version: str
    status: ProjectStatus
    config: str = ""
    has_requirements: bool = False
    bundle_uri: str = ""
    code_prefix: str = ""
    sourcedir_uri: str = ""
    # Missing in projects older than this attribute.
    sourcedir_sha256: str | None = None
    # The program in it that lists a training job's packages and becomes the script; as above.
    train_program: str | None = None
    # Of the definition of a pipeline of SageMaker, if builds run one.
    definition_sha256: str | None = None
    pushed_at: str | None = None
    bundle_version_id: str | None = None
    reasons: Sequence[str] = ()
    # Digests of the scripts' files by path, unless they are too many; which scripts a step does not read.
    code_files: Mapping[str, str] | None = None
    code_unread: Mapping[str, Sequence[str]] | None = None
    # Of a push with `--replace-champion`.
    replaces_champion_at: str | None = None
    replaces_champion_by: str | None = None
    champion_replaced_by: str | None = None
    # The commit, as the last push said (`domain/build/sources.py`); missing in older projects.
    source: Mapping[str, Any] | None = None
    # Who pushed it, as each push said.
    pushed_by: Sequence[str] = ()

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Project:
        key = {"pipeline": keys.pipeline_of(item), "version": keys.project_version_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.project_key(self.pipeline, self.version)
        return {**key, **attributes(self, "pipeline", "version")}


@dataclass(frozen=True, slots=True)
class Run:
    """One build, from the claim of its number to its end."""

    pipeline: str
    run_id: str
    status: RunStatus
    project_version: str = ""
    started_at: str = ""
    execution_arn: str | None = None
    dataset_version: str | None = None
    # How many objects of it are new, overwritten, deleted or left out since the last valid one.
    data_changes: Mapping[str, int] | None = None
    ended_at: str | None = None
    reasons: Sequence[str] = ()
    model_package_arn: str | None = None
    manifest_uri: str | None = None
    manifest_sha256: str | None = None
    image_digest: str | None = None
    # When its end was announced.
    told_at: str | None = None
    validated_at: str | None = None
    # How many objects of its data set were known, if one invocation could not read all.
    known_objects: int | None = None
    # What the invocations that did not read all used, together.
    reading_usage: Mapping[str, Any] | None = None
    # When it went on to have packages built for its jobs on Lambda, if no push had.
    packaged_at: str | None = None
    selected_at: str | None = None
    judged_at: str | None = None
    registered_at: str | None = None
    # Why it was started; by whom, if a person did.
    cause: str | None = None
    actor: str | None = None
    # Values of the config by dotted path, in place of the project's.
    overrides: Mapping[str, Any] | None = None
    # The data set version that a person named: nothing else is taken up.
    given_dataset: str | None = None
    # The failed run whose finished steps are used.
    retry_of: str | None = None
    # Set if every step is to be computed anew.
    is_uncached: bool = False
    # The run that this one repeats, to be compared with it within a tolerance: it registers nothing.
    reproduces: str | None = None
    tolerance: float | None = None
    # The list of copies that it reads, where an object has another version by now than in its data set.
    restored_uri: str | None = None
    # Whether a pipeline of SageMaker makes its model.
    runs_pipeline: bool = False
    # What it cost at list prices, when it ended; unknown if a step's is.
    cost_usd: float | None = None
    # The key of the object whose recall it is for: what it registers waits for a person.
    recalls: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Run:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), run_id=keys.run_id_of(item)))

    def item(self) -> Item:
        return {**keys.run_key(self.pipeline, self.run_id), **attributes(self, "pipeline", "run_id")}

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None

    @property
    def is_plain(self) -> bool:
        """Whether it builds what the pipeline's next build would: its project as pushed, on its data."""
        return not (self.overrides or self.given_dataset)

    @property
    def reads_versions(self) -> bool:
        """Whether it reads the object versions of the data set that was named, whatever their keys hold now.

        A retry named none: it is refused if its data changed, as they may have been taken back.
        """
        return self.reproduces is not None or (self.given_dataset is not None and self.retry_of is None)

    def when(self, milestone: Milestone) -> str | None:
        """Return when the run first reached a milestone, which a retry may reach again."""
        return {
            "validated": self.validated_at,
            "packaged": self.packaged_at,
            "selected": self.selected_at,
            "judged": self.judged_at,
            "registered": self.registered_at,
        }[milestone]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A person's wish for a run, and what became of it."""

    pipeline: str
    request_id: str
    status: RequestStatus
    at: str
    actor: str
    run_id: str | None = None
    reasons: Sequence[str] = ()
    # The run that holds the build lock, if that is why there is no run.
    in_flight: str | None = None
    # The answer is kept for as long as its event may come again, and somebody may look for it.
    expires_at: int | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> RunRequest:
        key = {"pipeline": keys.pipeline_of(item), "request_id": keys.request_id_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.request_key(self.pipeline, self.request_id)
        return {**key, **attributes(self, "pipeline", "request_id")}


@dataclass(frozen=True, slots=True)
class Built:
    """The note that a run of a project came to a conclusion on a data set version."""

    pipeline: str
    dataset_version: str
    project_version: str
    run_id: str
    started_at: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Built:
        dataset_version, project_version = keys.built_of(item)
        key = {"dataset_version": dataset_version, "project_version": project_version}
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), **key))

    def item(self) -> Item:
        key = keys.built_key(self.pipeline, self.dataset_version, self.project_version)
        return {**key, **attributes(self, "pipeline", "dataset_version", "project_version")}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run: a job, from before its creation; the gates; the registration."""

    run_id: str
    step: str
    status: StepStatus
    kind: StepKind
    job_name: str | None = None
    job_arn: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    outputs: Mapping[str, str] | None = None
    model_uri: str | None = None
    metrics: Mapping[str, float | None] | None = None
    image: str | None = None
    failure_reason: str | None = None
    # The last lines that a job printed, if it failed or left something behind.
    log_tail: Sequence[str] = ()
    # What a script on Lambda left running when it ended, and was ended with it.
    left_behind: str | None = None
    # Set if the job was stopped because its run had ended.
    stopped_because: str | None = None
    # SageMaker's message while a quota is used up.
    waits_for: str | None = None
    remark: str | None = None
    # Hyperparameters of a candidate, which was selected and why, results of gates, or what was registered.
    detail: Any = None
    evaluation_sha256: str | None = None
    # Where the job runs, and why there. Steps older than this attribute ran on SageMaker.
    backend: Backend = "sagemaker"
    backend_reason: str | None = None
    # Whose role the job has on SageMaker: the step's own, or that of all candidates of a warm pool.
    role: str | None = None
    # How large the run's data set is: with the job's peak, what the next run's may hold.
    data_bytes: int | None = None
    # What the step depends on, by name, with the key made of it; why nothing was reused.
    cache_key: str | None = None
    cache_parts: Mapping[str, str] | None = None
    cache_miss: str | None = None
    # The run and the step whose outputs are used, as that did the same before.
    cached: Mapping[str, str] | None = None
    # Digests of the outputs by name.
    contents: Mapping[str, str] | None = None
    # The sha256 of the packages' archive that a job on Lambda has.
    environment: str | None = None
    # What the job took, such as billed_s, script_s, memory_mb, peak_memory_mb, instance_type, instance_count.
    usage: Mapping[str, Any] | None = None
    # What the job took on Lambda, if a limit there moved it to SageMaker; empty if that is not known.
    lambda_usage: Mapping[str, Any] | None = None
    # What building the packages took, at the first job that has them.
    packages_usage: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Step:
        return cls(**known(cls, item, run_id=keys.steps_run_id_of(item), step=keys.step_of(item)))

    def item(self) -> Item:
        return {**keys.step_key(self.run_id, self.step), **attributes(self, "run_id", "step")}

    @property
    def job(self) -> tuple[JobKind, str] | None:
        """The kind and name of its job, also before that exists."""
        is_job = self.kind in ("training_job", "processing_job", "pipeline_execution")
        return (cast("JobKind", self.kind), self.job_name) if self.job_name and is_job else None


@dataclass(frozen=True, slots=True)
class CachedStep:
    """A step that completed, found by the key of what it depends on."""

    pipeline: str
    key: str
    run_id: str
    step: str
    at: str
    expires_at: int

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> CachedStep:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), key=keys.cache_of(item)))

    def item(self) -> Item:
        return {**keys.cache_key(self.pipeline, self.key), **attributes(self, "pipeline", "key")}


@dataclass(frozen=True, slots=True)
class Environment:
    """Python packages for jobs on Lambda, by what they were asked for; a failed one has only its problem."""

    spec: str
    status: EnvironmentStatus
    started_at: str
    # The archive: its sha256 and its size, the packages' size once unpacked, their number.
    digest: str | None = None
    size_bytes: int = 0
    unpacked_bytes: int = 0
    packages: int = 0
    problem: str | None = None
    # What building took, as a step's usage, with that of attempts that failed; the job that it counts to.
    usage: Mapping[str, Any] | None = None
    paid_by: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Environment:
        return cls(**known(cls, item, spec=keys.environment_spec_of(item)))

    def item(self) -> Item:
        return {**keys.environment_key(self.spec), **attributes(self, "spec")}


@dataclass(frozen=True, slots=True)
class JobTask:
    """A task of a build that waits for a job."""

    job_name: str
    task_token: str
    kind: JobKind
    pipeline: str
    run_id: str
    step: str
    status: TaskStatus
    expires_at: int
    opened_at: str = ""
    backend: Backend = "sagemaker"
    # Whether SageMaker runs the job if a limit of Lambda ends it.
    falls_back: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> JobTask:
        return cls(**known(cls, item, job_name=keys.resource_of(item)))

    def item(self) -> Item:
        """Return the item; an open task is listed, for `reconcile` to look at what it waits for."""
        listed = keys.listed(keys.TASKS, self.job_name) if self.status == "open" else {}
        return {**keys.task_key(self.job_name), **listed, **attributes(self, "job_name")}
