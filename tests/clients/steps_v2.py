"""Tuning, checks and functions as people write them with the SageMaker SDK 2.

python steps_v2.py BUCKET PIPELINE IMAGE
"""

import json
import pathlib
import sys

from sagemaker import Session
from sagemaker.clarify import (
    BiasConfig,
    DataConfig,
    ModelConfig,
    ModelPredictedLabelConfig,
    SHAPConfig,
)
from sagemaker.drift_check_baselines import DriftCheckBaselines
from sagemaker.inputs import TrainingInput
from sagemaker.model_metrics import MetricsSource
from sagemaker.model_monitor import DatasetFormat
from sagemaker.parameter import CategoricalParameter, ContinuousParameter
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.tuner import HyperparameterTuner
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.clarify_check_step import (
    ClarifyCheckStep,
    DataBiasCheckConfig,
    ModelBiasCheckConfig,
    ModelExplainabilityCheckConfig,
)
from sagemaker.workflow.function_step import step
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterBoolean
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep
from sagemaker.workflow.step_collections import RegisterModel
from sagemaker.workflow.steps import TuningStep

bucket, pipeline_name, image_uri = sys.argv[1:]
project = pathlib.Path(__file__).parent / "project"
role = "arn:aws:iam::000000000000:role/sagemaker-execution"
session = PipelineSession(default_bucket=bucket)
skip_check = ParameterBoolean(name="SkipCheck", default_value=False)
register_new_baseline = ParameterBoolean(name="RegisterNewBaseline", default_value=False)


def tuner_of(sagemaker_session, hyperparameter_ranges, **search):
    estimator = SKLearn(
        entry_point="train.py",
        source_dir=str(project),
        framework_version="1.4-2",
        py_version="py3",
        instance_type="ml.m5.large",
        instance_count=1,
        role=role,
        output_path=f"s3://{bucket}/tuned",
        metric_definitions=[{"Name": "validation:accuracy", "Regex": r"val_acc: ([0-9.]+)"}],
        sagemaker_session=sagemaker_session,
    )
    return HyperparameterTuner(
        estimator,
        objective_metric_name="validation:accuracy",
        hyperparameter_ranges=hyperparameter_ranges,
        metric_definitions=[{"Name": "validation:accuracy", "Regex": r"val_acc: ([0-9.]+)"}],
        max_parallel_jobs=2,
        **search,
    )


reviews = {
    name: TrainingInput(f"s3://{bucket}/prepared/{name}", content_type="text/csv")
    for name in ("train", "validation")
}
line = {"alpha": ContinuousParameter(0.001, 1.0, scaling_type="Logarithmic")}
tuner = tuner_of(session, line, strategy="Random", random_seed=7, max_jobs=2)
tuning_step = TuningStep(name="Tune", step_args=tuner.fit(inputs=reviews))

check_job_config = CheckJobConfig(
    role=role, instance_type="ml.m5.xlarge", instance_count=1, sagemaker_session=session
)
quality_step = QualityCheckStep(
    name="Quality",
    skip_check=skip_check,
    register_new_baseline=register_new_baseline,
    quality_check_config=DataQualityCheckConfig(
        baseline_dataset=f"s3://{bucket}/people/quality",
        dataset_format=DatasetFormat.csv(header=True),
        output_s3_uri=f"s3://{bucket}/quality",
    ),
    check_job_config=check_job_config,
    model_package_group_name=f"{pipeline_name}-group",
)
people_model = SKLearnModel(
    model_data=f"s3://{bucket}/people/model.tar.gz",
    role=role,
    entry_point=str(project / "serve_people.py"),
    framework_version="1.4-2",
    sagemaker_session=session,
)
model_step = ModelStep(name="People", step_args=people_model.create(instance_type="ml.m5.large"))
model_config = ModelConfig(
    model_name=model_step.properties.ModelName,
    instance_type="ml.m5.large",
    instance_count=1,
    content_type="text/csv",
    accept_type="text/csv",
)
bias_config = BiasConfig(label_values_or_threshold=[1], facet_name="group", facet_values_or_threshold=["b"])


def clarify_step(name, make_config, **config):
    data_config = DataConfig(
        s3_data_input_path=f"s3://{bucket}/people/bias",
        s3_output_path=f"s3://{bucket}/{name.lower()}",
        label="outcome",
        headers=["age", "group", "outcome"],
        dataset_type="text/csv",
    )
    return ClarifyCheckStep(
        name=name,
        skip_check=skip_check,
        register_new_baseline=register_new_baseline,
        clarify_check_config=make_config(data_config=data_config, **config),
        check_job_config=check_job_config,
        model_package_group_name=f"{pipeline_name}-group",
    )


bias_step = clarify_step("Bias", DataBiasCheckConfig, data_bias_config=bias_config)
model_bias_step = clarify_step(
    "ModelBias",
    ModelBiasCheckConfig,
    data_bias_config=bias_config,
    model_config=model_config,
    model_predicted_label_config=ModelPredictedLabelConfig(),
)
explain_step = clarify_step(
    "Explain",
    ModelExplainabilityCheckConfig,
    model_config=model_config,
    explainability_config=SHAPConfig(baseline=[[20, "a"]], num_samples=10, agg_method="mean_abs"),
)


def source(uri):
    return MetricsSource(s3_uri=uri, content_type="application/json")


baselines = DriftCheckBaselines(
    model_data_statistics=source(quality_step.properties.BaselineUsedForDriftCheckStatistics),
    model_data_constraints=source(quality_step.properties.BaselineUsedForDriftCheckConstraints),
    bias_pre_training_constraints=source(bias_step.properties.BaselineUsedForDriftCheckConstraints),
    bias_post_training_constraints=source(model_bias_step.properties.BaselineUsedForDriftCheckConstraints),
    explainability_constraints=source(explain_step.properties.BaselineUsedForDriftCheckConstraints),
)
best_model = tuning_step.get_top_model_s3_uri(top_k=0, s3_bucket=bucket, prefix="tuned")
register_step = RegisterModel(
    name="Register",
    estimator=tuner.estimator,
    model_data=best_model,
    content_types=["text/csv"],
    response_types=["application/json"],
    inference_instances=["ml.m5.large"],
    transform_instances=["ml.m5.large"],
    model_package_group_name=f"{pipeline_name}-group",
    approval_status="Approved",
    drift_check_baselines=baselines,
)


settings = {"image_uri": image_uri, "instance_type": "ml.m5.large", "role": role}


@step(name="Count", **settings)
def count(words):
    return {"words": len(words), "first": words[0]}


@step(name="Double", **settings)
def double(counted, factor):
    return counted["words"] * factor


doubled = double(count(["great", "awful", "fine"]), 2)

pipeline = Pipeline(
    name=pipeline_name,
    parameters=[skip_check, register_new_baseline],
    steps=[
        *(tuning_step, quality_step, bias_step, register_step, doubled),
        *(model_step, model_bias_step, explain_step),
    ],
    sagemaker_session=session,
)
pipeline.upsert(role_arn=role)


def played(**parameters):
    execution = pipeline.start(parameters=parameters)
    try:
        execution.wait(delay=1, max_attempts=400)
    except Exception as error:  # botocore's waiter raises for an execution that failed
        print(error, file=sys.stderr)
    return execution


first = played(SkipCheck=True, RegisterNewBaseline=True)
printed = {"first": first.list_steps(), "result": first.result("Double"), "again": played().list_steps()}
choices = {"alpha": CategoricalParameter([0.1, 0.5])}
tuner = tuner_of(Session(default_bucket=bucket), choices, strategy="Grid", max_jobs=2)
tuner.fit(inputs=reviews, logs=False)
printed["best"] = tuner.best_training_job()
printed["tried"] = tuner.analytics().dataframe(force_refresh=True)["TrainingJobName"].tolist()
print(json.dumps(printed, default=str))
