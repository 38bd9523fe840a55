"""The shape of pipeline.yaml. Errors and editors show the descriptions, so they say what is expected."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

from sluice.domain import names
from sluice.domain.config import gate_syntax, images
from sluice.domain.config.approval import Approval
from sluice.domain.config.base import Model, ParameterName, ScalarValue, Severity
from sluice.domain.config.build import Build
from sluice.domain.config.candidates import Candidates, Metric
from sluice.domain.config.checks import AnyCheck, Constraints
from sluice.domain.config.monitor import Monitor
from sluice.domain.config.statistics import Bias, Drift

_GATHERING_S = 2
_RUNTIME_S = 3600
# The shortest and the longest timeout that SageMaker allows a deployment.
_DEPLOYMENT_S = (600, 28800)
# The state machine waits six days for a job: half a day less.
_SPOT_WAIT_MAX_S = 475_200
# Besides waiting, a deployment starts instances, loads models and stops instances.
_PROVISIONING_S = 3600
_WINDOW_UNITS = {"d": "days", "h": "hours"}


def _joined(given: Any) -> Any:
    """Put a gate in slices together, whose colon YAML reads as that of a mapping."""
    if isinstance(given, dict) and len(given) == 1:
        ((start, end),) = given.items()
        return f"{start}: {end}"
    return given


def _only_gate(text: str) -> str:
    try:
        gate_syntax.parse(text)
    except gate_syntax.GateSyntaxError as error:
        context = {"expected": error.expected, "nearest": error.nearest}
        raise PydanticCustomError(
            "expected", f"has {error.found} at column {error.column}", context
        ) from None
    return text


_GATE_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "description": "a gate in slices: for each COLUMN [with n >= N], and behind the colon the gate",
            "patternProperties": {"^for each ": {"type": "string"}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
GateExpression = Annotated[
    str, BeforeValidator(_joined), AfterValidator(_only_gate), WithJsonSchema(_GATE_SCHEMA)
]
ScriptPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*\.py$")]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
# SageMaker's characters of tags; `\w` are letters, digits and the underscore of any script.
TagKey = Annotated[str, Field(pattern=r"^[\w .:/=+@-]+$", max_length=128)]
TagValue = Annotated[str, Field(pattern=r"^[\w .:/=+@-]*$", max_length=256)]
ObjectName = Annotated[str, Field(pattern=r"^[^/\x00-\x1f\x7f]{1,255}$")]
AlarmName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
MimeType = Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=256)]


class Framework(Model):
    name: Literal["scikit-learn", "xgboost", "pytorch", "tensorflow", "huggingface"] = Field(
        description="a framework SageMaker has images of"
    )
    version: str = Field(
        description="the image's version, such as '1.4-2'; of huggingface that of transformers", min_length=1
    )
    inference_version: str | None = Field(
        None, description="the version of the image that serves, by default `version`", min_length=1
    )

    def uri(self, region: str, use: images.Use, instance_type: str) -> str:
        """Return an image; raises images.UnknownImageError."""
        version = self.inference_version or self.version if use == "inference" else self.version
        return images.uri(self.name, version, region, use, instance_type)


class Column(Constraints, Model):
    """The contract of one column; each check that applies is made on every row."""

    severity: Severity = Field("fail", description="fail (reject the data set) or warn (only report it)")
    tolerance: float = Field(
        0.0, description="the share of rows, 0 to 1, that may break a check of the column", ge=0, lt=1
    )


class Csv(Model):
    """How CSV files are written."""

    delimiter: str = Field(",", description="one character between values", pattern=r"^[^\r\nA-Za-z0-9]$")
    quote: str = Field('"', description="one character around values", pattern=r"^[^\r\nA-Za-z0-9]$")
    header: bool = Field(
        True, description="whether the first line has names; else columns are in the schema's order"
    )


class CompleteWhen(Model):
    """When a batch is complete: after a quiet period, or when an object arrives that is never data itself."""

    quiet_period_s: int = Field(
        60, description="seconds without an upload after which a batch is complete", ge=0, le=900
    )
    marker: ObjectName | None = Field(
        None, description="the name of an object, such as _SUCCESS, that completes its folder"
    )
    manifest: ObjectName | None = Field(
        None, description="the name of a JSON object that lists what its folder must hold"
    )

    @property
    def control_name(self) -> str | None:
        """The name of the objects that complete batches; None if a quiet period does."""
        return self.marker or self.manifest

    @property
    def wait_s(self) -> int:
        """How long a batch must have been quiet; 0 if an object completes it."""
        return 0 if self.control_name else self.quiet_period_s

    @property
    def ask_delay_s(self) -> int:
        """How long after an upload to ask for a build, so that many uploads ask only once."""
        return _GATHERING_S if self.control_name else self.quiet_period_s


class Window(Model):
    """Which uploads a data set in mode window keeps."""

    last: str = Field(
        description="a number of days, hours or batches, such as 30d, 12h or 12 batches",
        pattern=r"^[1-9][0-9]{0,4}(d|h| batch| batches)$",
    )

    @property
    def count(self) -> int:
        """The number before the unit."""
        return int(self.last.rstrip(" abcdehst"))

    @property
    def age(self) -> timedelta | None:
        """The time span; None for a number of batches."""
        unit = _WINDOW_UNITS.get(self.last[-1]) if " " not in self.last else None
        return timedelta(**{unit: self.count}) if unit else None


class Data(Model):
    """The data contract: what is uploaded, when a batch is complete, and which checks it must pass."""

    format: Literal["csv", "parquet", "jsonl"] = Field(description="csv, parquet or jsonl")
    mode: Literal["append", "replace", "window"] = Field(
        "append",
        description="append (a data set has all uploads), replace (only the newest batch) or window",
    )
    window: Window | None = Field(None, description="{last: 30d} or {last: 12 batches}, in mode window")
    label: str = Field(description="the column to predict")
    complete_when: CompleteWhen = Field(default_factory=CompleteWhen)
    columns: dict[str, Column] = Field(
        alias="schema", description="a column's contract by its name", min_length=1
    )
    csv: Csv = Field(default_factory=Csv)
    extra: Literal["allow", "warn", "fail"] = Field(
        "allow", description="allow, warn or fail: what columns do that the schema does not name"
    )
    keys: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(
        (), description="lists of columns whose values may occur together only once"
    )
    redact: tuple[str, ...] = Field((), description="columns whose values reports do not show")
    quality: tuple[AnyCheck, ...] = Field((), description="checks of the data set as a whole")
    bias: Bias | None = Field(None, description="limits on statistical bias before training")
    drift: Drift | None = Field(None, description="a limit on the distance from a baseline")


class Compute(Model):
    """Where a job runs, and with how much."""

    backend: Literal["auto", "lambda", "sagemaker"] = Field(
        "auto", description="auto (Lambda where a job fits), lambda or sagemaker"
    )
    memory_mb: int | None = Field(
        None, description="the memory that the script needs, in MiB", ge=128, le=4_000_000
    )
    instance_type: InstanceType = Field("ml.m5.large", description="an instance type such as ml.m5.large")
    volume_gb: int = Field(30, description="the size of its disk", ge=1, le=16384)
    max_runtime_s: int | None = Field(
        None,
        description="seconds after which the job is stopped, by default 3600, and on Lambda 880",
        ge=1,
        le=432000,
    )

    environment: dict[VariableName, Annotated[str, Field(max_length=256)]] = Field(
        {}, description="environment variables of the script: text by name", max_length=90
    )
    tags: dict[TagKey, TagValue] = Field(
        {}, description="tags of the job, beside those of the stack", max_length=40
    )
    isolation: bool = Field(
        False, description="whether the container has no network, as the stack may require for all"
    )

    @property
    def sagemaker_runtime_s(self) -> int:
        """The seconds after which SageMaker stops the job."""
        return self.max_runtime_s or _RUNTIME_S

    @property
    def needs_sagemaker(self) -> str | None:
        """Which of the options only SageMaker has; None if none is used."""
        return "network isolation" if self.isolation else None


class ClusterCompute(Compute):
    """Several instances, each with all data or a part of them."""

    instance_count: int = Field(1, description="the number of instances", ge=1, le=100)
    data_distribution: Literal["fully_replicated", "sharded_by_s3_key"] = Field(
        "fully_replicated",
        description="fully_replicated (each instance has all data) or sharded_by_s3_key (each some objects)",
    )

    @property
    def s3_data_distribution_type(self) -> Literal["FullyReplicated", "ShardedByS3Key"]:
        """SageMaker's word for the distribution."""
        return "ShardedByS3Key" if self.data_distribution == "sharded_by_s3_key" else "FullyReplicated"

    @property
    def needs_sagemaker(self) -> str | None:
        if self.instance_count > 1:
            return f"{self.instance_count} instances"
        return super().needs_sagemaker


class Spot(Model):
    """Managed spot training: cheaper instances, which AWS may take back."""

    max_wait_s: int = Field(
        description="seconds for waiting and training together, at least max_runtime_s",
        ge=1,
        le=_SPOT_WAIT_MAX_S,
    )


class TrainCompute(ClusterCompute):
    spot: Spot | None = Field(
        None, description="{max_wait_s: ...}: train on spot instances, with checkpoints"
    )
    keep_alive_s: int = Field(
        0, description="seconds to keep the instances for the next candidate (a warm pool)", ge=0, le=21600
    )

    @property
    def needs_sagemaker(self) -> str | None:
        if self.spot:
            return "spot instances"
        if self.keep_alive_s:
            return "a warm pool"
        return super().needs_sagemaker


class Serverless(Model):
    """An endpoint that costs nothing while nobody asks."""

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = Field(
        2048, description="memory of a server, which gives it CPU in proportion"
    )
    max_concurrency: int = Field(5, description="the most requests answered at a time", ge=1, le=200)


class Autoscaling(Model):
    """Instances that follow the requests, by target tracking of Application Auto Scaling."""

    min: int = Field(1, description="the fewest instances", ge=1, le=100)
    max: int = Field(description="the most instances", ge=1, le=100)
    invocations_per_instance: int = Field(
        description="the requests that each instance should have in a minute", ge=1, le=1_000_000
    )
    scale_in_cooldown_s: int = Field(
        300, description="seconds after a change before instances are taken away", ge=0, le=86400
    )
    scale_out_cooldown_s: int = Field(
        300, description="seconds after a change before instances are added", ge=0, le=86400
    )


class Batch(Model):
    """No endpoint: a transform job answers what is uploaded below batch/<pipeline>/."""

    every_s: int | None = Field(
        None,
        description="the least seconds between transforms, such as 86400 for one a day; by default none",
        ge=60,
        le=2_592_000,
    )
    split: Literal["line", "none"] = Field(
        "line", description="line (each is a row, and many make a request), or none (a file is a request)"
    )
    checked: bool = Field(
        True, description="false: score files whatever columns their rows have; by default those set aside"
    )
    max_payload_mb: int = Field(6, description="the largest request in MB", ge=1, le=100)
    max_concurrency: int = Field(1, description="requests at a time to an instance", ge=1, le=100)


class ServeCompute(Model):
    instance_type: InstanceType = Field("ml.m5.large", description="an instance type such as ml.m5.large")
    instance_count: int = Field(
        1, description="the number of instances; with autoscaling the first number", ge=1, le=100
    )
    autoscaling: Autoscaling | None = Field(
        None,
        description="{min: 1, max: 4, invocations_per_instance: 500}: instances follow the requests",
    )
    serverless: Serverless | None = Field(
        None,
        description="{memory_mb: 2048, max_concurrency: 5}: no instances, nothing runs while nobody asks",
    )
    batch: Batch | None = Field(
        None,
        description="{split: line}: no endpoint; transform jobs answer files below batch/<pipeline>/",
    )


class Cache(Model):
    """When the outputs of a step that did the same before are used."""

    max_age_s: int | None = Field(
        None, description="seconds after which a step is computed anew, such as 604800 for a week", ge=1
    )


StepCache = Annotated[
    bool | Cache,
    Field(description="false: compute the step each time; {max_age_s: 604800}: at least once a week"),
]


class Prepare(Model):
    """The processing job that turns the data set into train, validation and test."""

    script: ScriptPath = Field(description="a Python file of the project")
    parameters: dict[ParameterName, JsonValue] = Field(
        {}, description="the script's arguments: `--name value`, lists and maps as JSON", max_length=50
    )
    compute: ClusterCompute = Field(default_factory=ClusterCompute)
    cache: StepCache = True


class Train(Model):
    """The training jobs, in script mode."""

    script: ScriptPath = Field(description="a Python file of the project")
    hyperparameters: dict[ParameterName, ScalarValue] = Field(
        {}, description="the script's arguments, the same for each candidate", max_length=90
    )
    candidates: Candidates = Field(
        description="which candidates to train, one or more, and how to choose the best"
    )
    metrics: tuple[Metric, ...] = Field(
        description="what to read from the job's log or its metrics.json", min_length=1, max_length=40
    )
    compute: TrainCompute = Field(default_factory=TrainCompute)
    cache: StepCache = True


class Evaluate(Model):
    """The processing job that scores a model on the test data and writes evaluation.json."""

    script: ScriptPath = Field(description="a Python file of the project")
    positive: ScalarValue | None = Field(
        None, description="the label of the predictions that is the positive one, by default 1 (or true)"
    )
    compute: Compute = Field(default_factory=Compute)
    cache: StepCache = True


class Serve(Model):
    """How the model answers requests: a script with model_fn, input_fn, predict_fn and output_fn."""

    script: ScriptPath = Field(description="a Python file of the project")
    content_type: MimeType = Field("application/json", description="the MIME type of a request")
    accept: MimeType = Field("application/json", description="the MIME type of an answer")
    sample: str = Field(
        description="a file of the project: the request that tests a new endpoint", min_length=1
    )
    errors: tuple[Literal["4XX", "5XX"], ...] = Field(
        ("5XX",),
        description="which answers are the model's errors: [5XX], or [4XX, 5XX] if no client can cause a 4XX",
        min_length=1,
        max_length=2,
    )
    compute: ServeCompute = Field(default_factory=ServeCompute)


class Register(Model):
    group: str | None = Field(
        None,
        description="a model package group's name, by default one named after the stack and the pipeline",
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$",
    )
    approval: Literal["manual", "automatic"] = Field("manual", description="manual or automatic")


class Traffic(Model):
    """How traffic moves to a new version."""

    type: Literal["all_at_once", "canary", "linear"] = Field(
        "all_at_once", description="all_at_once, canary or linear"
    )
    percent: int | None = Field(
        None, description="the percentage that a canary or a linear step shifts, 1 to 50", ge=1, le=50
    )
    bake_s: int = Field(300, description="seconds to watch alarms after a shift", ge=0, le=3600)
    unwatched: bool = Field(
        False, description="true: accept a bake_s in which no alarm can fire, so nothing guards the release"
    )

    @property
    def bakes(self) -> int:
        """How often a deployment waits `bake_s`: after each step, and before the old fleet ends."""
        if self.type == "linear" and self.percent:
            return -(-100 // self.percent)
        return 1 if self.type == "all_at_once" else 2

    @property
    def longest_bake_s(self) -> int:
        """The longest `bake_s` with which such a deployment ends before SageMaker's timeout."""
        return (_DEPLOYMENT_S[1] - _PROVISIONING_S) // self.bakes

    @property
    def deployment_timeout_s(self) -> int:
        shortest, longest = _DEPLOYMENT_S
        return min(max(self.bakes * self.bake_s + _PROVISIONING_S, shortest), longest)


class Shadow(Model):
    """Compare a new version with what serves, by requests that both answer, before anyone is served by it."""

    percent: int = Field(description="the share of the requests to mirror, 1 to 100", ge=1, le=100)
    bake_s: int = Field(600, description="seconds to mirror requests, 60 to 3600", ge=60, le=3600)
    min_requests: int = Field(50, description="mirrored requests below which nothing is released", ge=1)
    min_agreement: float = Field(
        0.9, description="the least share of predictions that must be those of what serves", ge=0, le=1
    )
    tolerance: float = Field(
        0.05, description="how much, as a share, numbers or scores may differ that agree", ge=0, le=1
    )
    max_latency_ratio: float = Field(
        1.5, description="how many times as slow as what serves it may be (of each minute the p90)", ge=1
    )


class Stage(Model):
    name: str = Field(
        description="1 to 16 lower-case letters, digits and inner hyphens, a letter first",
        pattern=names.STAGE_PATTERN,
    )
    requires_approval: bool = Field(False, description="whether the release waits here for a person")
    traffic: Traffic = Field(default_factory=Traffic)
    shadow: Shadow | None = Field(
        None, description="{percent: 50}: compare a version by mirrored requests before it serves"
    )
    alarms: tuple[AlarmName, ...] = Field(
        (), description="names of alarms of your own that roll a release to this stage back", max_length=8
    )


class Alarms(Model):
    """When alarms of a live endpoint fire."""

    error_rate: float = Field(
        0.01, description="the share of failed requests, above 0 and below 1", gt=0, lt=1
    )
    p99_latency_ms: int | None = Field(
        None, description="the model's latency; by default there is no such alarm", ge=1
    )
    min_requests: int = Field(50, description="requests a minute below which no alarm fires", ge=1)


class Release(Model):
    stages: tuple[Stage, ...] = Field(
        default_factory=lambda: (Stage(name="production"),),
        description="the endpoints, in order",
        min_length=1,
        max_length=5,
    )
    alarms: Alarms = Field(default_factory=Alarms)
    approval: Approval = Field(default_factory=Approval)


class Retrain(Model):
    """How often new data may start a build."""

    cooldown_s: int = Field(
        0, description="the least seconds between the starts of two builds", ge=0, le=604800
    )
    daily_budget: int = Field(24, description="the most builds in a day (UTC)", ge=1, le=1000)
    monthly_budget_usd: float | None = Field(
        None,
        description="start no build from data once the runs of a month (UTC) cost so much, at list prices",
        gt=0,
        le=1_000_000,
    )


_Job = TypeVar("_Job", Prepare, Train, Evaluate)


def _scripted(job: _Job | None) -> _Job:
    """Return a job of a project whose build runs scripts: the rules give such a project all of them."""
    if job is None:
        raise LookupError("the project's build runs a pipeline of SageMaker, and no scripts")
    return job


class PipelineConfig(Model):
    """A pipeline.yaml."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["prepare", "train", "evaluate"]}, {"required": ["build"]}]}
    )

    name: str = Field(
        description="2 to 32 lower-case letters, digits and inner hyphens, a letter first",
        pattern=names.PIPELINE_PATTERN,
    )
    framework: Framework | None = Field(None, description="a framework SageMaker has an image of")
    image: str | None = Field(
        None, description="an image's URI, in place of a framework", pattern=r"^\S+$", max_length=255
    )
    data: Data = Field(description="the data contract")
    prepare_: Prepare | None = Field(None, description="the script that prepares data", alias="prepare")
    train_: Train | None = Field(None, description="the script that trains", alias="train")
    evaluate_: Evaluate | None = Field(None, description="the script that evaluates", alias="evaluate")
    build: Build | None = Field(
        None, description="a pipeline of SageMaker, in place of prepare, train and evaluate"
    )
    gates: tuple[GateExpression, ...] = Field(
        description="expressions such as metrics.accuracy.value >= 0.7", min_length=1, max_length=50
    )
    serve: Serve = Field(description="the script that serves")
    register_: Register = Field(default_factory=Register, alias="register")
    release: Release = Field(default_factory=Release)
    retrain: Retrain = Field(default_factory=Retrain)
    monitor: Monitor | None = Field(None, description="how what serves is watched; by default it is not")

    def model_package_group(self, stack: str) -> str:
        """Return the group named here, which stacks may share, or else the pipeline's own in a stack."""
        return self.register_.group or names.package_group(stack, self.name)

    @property
    def prepare(self) -> Prepare:
        """The script that prepares data, of a project whose build runs scripts."""
        return _scripted(self.prepare_)

    @property
    def train(self) -> Train:
        """The script that trains, of such a project."""
        return _scripted(self.train_)

    @property
    def evaluate(self) -> Evaluate:
        """The script that evaluates, of such a project."""
        return _scripted(self.evaluate_)

    @property
    def jobs(self) -> dict[str, Prepare | Train | Evaluate]:
        """The scripts that run as jobs of a build, by the fields that name them; none if a pipeline does."""
        named = {"prepare": self.prepare_, "train": self.train_, "evaluate": self.evaluate_}
        return {name: job for name, job in named.items() if job is not None}

    @property
    def scripts(self) -> dict[str, str]:
        """The paths of the scripts, by the fields that name them."""
        return {**{name: job.script for name, job in self.jobs.items()}, "serve": self.serve.script}

    @property
    def computes(self) -> dict[str, Compute]:
        """What the jobs run on, by the fields that say so."""
        return {name: job.compute for name, job in self.jobs.items()}

    def training_image_uri(self, region: str) -> str:
        """Return the image of the training jobs; raises images.UnknownImageError."""
        where = self.train_ or self.serve
        return self._image_uri(region, "training", where.compute.instance_type)

    def processing_image_uri(self, region: str, compute: Compute) -> str:
        """Return the image of the jobs that prepare and evaluate; raises images.UnknownImageError.

        It is the one that trains, so that a script finds the same packages; where that needs a GPU and the
        instance has none, it is the one that serves.
        """
        try:
            return self._image_uri(region, "training", compute.instance_type)
        except images.UnknownImageError as error:
            if error.wrong != "instance":
                raise
            return self._image_uri(region, "inference", compute.instance_type)

    def serving_image_uri(self, region: str) -> str:
        """Return the image of the endpoints; raises images.UnknownImageError."""
        return self._image_uri(region, "inference", self.serve.compute.instance_type)

    def _image_uri(self, region: str, use: images.Use, instance_type: str) -> str:
        if self.framework is not None:
            return self.framework.uri(region, use, instance_type)
        return self.image or ""

    def image_uris(self, region: str) -> dict[str, str]:
        """Return the images by the steps that use them; raises images.UnknownImageError."""
        of_jobs = {
            name: self.training_image_uri(region)
            if name == "train"
            else self.processing_image_uri(region, compute)
            for name, compute in self.computes.items()
        }
        return {**of_jobs, "serve": self.serving_image_uri(region)}

    @property
    def source_dir(self) -> str:
        """The folder of the scripts; empty if they are beside pipeline.yaml."""
        return self.serve.script.rpartition("/")[0]
