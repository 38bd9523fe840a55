"""The lecture's pipeline as people write it with the SageMaker SDK 3: nothing in it knows of a local cloud.

python lecture_v3.py BUCKET PIPELINE MIN_ACCURACY
"""

import json
import pathlib
import sys

from sagemaker.core import image_uris
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import (
    MetricDefinition,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

bucket, pipeline_name, min_accuracy = sys.argv[1:]
project = pathlib.Path(__file__).parent / "project"
role = "arn:aws:iam::000000000000:role/sagemaker-execution"
session = PipelineSession(default_bucket=bucket)
cache_config = CacheConfig(enable_caching=True, expire_after="PT1H")
image_uri = image_uris.retrieve("sklearn", region=session.boto_region_name, version="1.4-2", py_version="py3")

input_data = ParameterString(name="InputData", default_value=f"s3://{bucket}/raw/")
processing_instance_count = ParameterInteger(name="ProcessingInstanceCount", default_value=2)
train_split_percentage = ParameterFloat(name="TrainSplitPercentage", default_value=0.8)
min_accuracy_value = ParameterFloat(name="MinAccuracyValue", default_value=0.01)
approval_status = ParameterString(
    name="ModelApprovalStatus",
    default_value="PendingManualApproval",
    enum_values=["PendingManualApproval", "Approved"],
)


def read(name, uri, folder, distribution="FullyReplicated"):
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"/opt/ml/processing/input/{folder}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
            s3_data_distribution_type=distribution,
        ),
    )


def written(name, folder):
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=f"s3://{bucket}/{pipeline_name}/{name}",
            local_path=f"/opt/ml/processing/output/{folder}",
            s3_upload_mode="EndOfJob",
        ),
    )


processor = ScriptProcessor(
    image_uri=image_uri,
    command=["python3"],
    role=role,
    instance_type="ml.m5.large",
    instance_count=processing_instance_count,
    max_runtime_in_seconds=600,
    sagemaker_session=session,
)
processing_step = ProcessingStep(
    name="Processing",
    step_args=processor.run(
        code=str(project / "prepare.py"),
        inputs=[read("raw-input-data", input_data, "data", "ShardedByS3Key")],
        outputs=[
            written(f"sentiment-{name}", f"sentiment/{name}") for name in ("train", "validation", "test")
        ],
        arguments=["--train-split-percentage", train_split_percentage.to_string()],
    ),
    cache_config=cache_config,
)


def processed(name):
    outputs = processing_step.properties.ProcessingOutputConfig.Outputs
    return outputs[f"sentiment-{name}"].S3Output.S3Uri


trainer = ModelTrainer(
    training_image=image_uri,
    source_code=SourceCode(source_dir=str(project), entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    base_job_name="sentiment",
    hyperparameters={"alpha": 1.0},
    role=role,
    sagemaker_session=session,
).with_metric_definitions([MetricDefinition(name="validation:accuracy", regex=r"val_acc: ([0-9.]+)")])
training_step = TrainingStep(
    name="Train",
    step_args=trainer.train(
        input_data_config=[
            InputData(channel_name=name, data_source=processed(name), content_type="text/csv")
            for name in ("train", "validation")
        ]
    ),
    cache_config=cache_config,
)
model_data = training_step.properties.ModelArtifacts.S3ModelArtifacts

evaluation_report = PropertyFile(name="EvaluationReport", output_name="metrics", path="evaluation.json")
evaluation_processor = ScriptProcessor(
    image_uri=image_uri,
    command=["python3"],
    role=role,
    instance_type="ml.m5.large",
    instance_count=1,
    max_runtime_in_seconds=600,
    sagemaker_session=session,
)
evaluation_step = ProcessingStep(
    name="EvaluateModel",
    step_args=evaluation_processor.run(
        code=str(project / "evaluate.py"),
        inputs=[read("model", model_data, "model"), read("data", processed("test"), "data")],
        outputs=[written("metrics", "metrics")],
    ),
    property_files=[evaluation_report],
)

report_uri = Join(
    on="/",
    values=[
        evaluation_step.properties.ProcessingOutputConfig.Outputs["metrics"].S3Output.S3Uri,
        "evaluation.json",
    ],
)
model_builder = ModelBuilder(
    s3_model_data_url=model_data, image_uri=image_uri, role_arn=role, sagemaker_session=session
)
register_step = ModelStep(
    name="RegisterModel",
    step_args=model_builder.register(
        model_package_group_name=f"{pipeline_name}-group",
        content_types=["text/csv"],
        response_types=["application/json"],
        inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"],
        approval_status=approval_status,
        model_metrics=ModelMetrics(
            model_statistics=MetricsSource(s3_uri=report_uri, content_type="application/json")
        ),
    ),
)
create_step = ModelStep(name="CreateModel", step_args=model_builder.build())

accuracy = JsonGet(
    step_name=evaluation_step.name,
    property_file=evaluation_report,
    json_path="metrics.accuracy.value",
)
condition_step = ConditionStep(
    name="AccuracyCondition",
    conditions=[ConditionGreaterThanOrEqualTo(left=accuracy, right=min_accuracy_value)],
    if_steps=[register_step, create_step],
    else_steps=[
        FailStep(name="TooBad", error_message=Join(on=" ", values=["Accuracy is below", min_accuracy_value]))
    ],
)

pipeline = Pipeline(
    name=pipeline_name,
    parameters=[
        input_data,
        processing_instance_count,
        train_split_percentage,
        min_accuracy_value,
        approval_status,
    ],
    steps=[processing_step, training_step, evaluation_step, condition_step],
    sagemaker_session=session,
)
upserted = pipeline.upsert(role_arn=role)
execution = pipeline.start(parameters={"MinAccuracyValue": float(min_accuracy)})
try:
    execution.wait(delay=1, max_attempts=300)
except Exception as error:  # botocore's waiter raises for an execution that failed
    print(error, file=sys.stderr)
described = execution.describe()
print(
    json.dumps(
        {
            "arn": execution.arn,
            "pipeline": upserted["PipelineArn"],
            "status": described["PipelineExecutionStatus"],
            "steps": execution.list_steps(),
            "parameters": execution.list_parameters()["PipelineParameters"],
        },
        default=str,
    )
)
