"""The lecture's pipeline as people write it with the SageMaker SDK 2: nothing in it knows of a local cloud.

python lecture_v2.py BUCKET PIPELINE MIN_ACCURACY
"""

import json
import pathlib
import sys

from sagemaker.inputs import TrainingInput
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.step_collections import RegisterModel
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep

bucket, pipeline_name, min_accuracy = sys.argv[1:]
project = pathlib.Path(__file__).parent / "project"
role = "arn:aws:iam::000000000000:role/sagemaker-execution"
session = PipelineSession(default_bucket=bucket)
cache_config = CacheConfig(enable_caching=True, expire_after="PT1H")

input_data = ParameterString(name="InputData", default_value=f"s3://{bucket}/raw/")
processing_instance_count = ParameterInteger(name="ProcessingInstanceCount", default_value=2)
train_split_percentage = ParameterFloat(name="TrainSplitPercentage", default_value=0.8)
alpha = ParameterFloat(name="Alpha", default_value=1.0)
min_accuracy_value = ParameterFloat(name="MinAccuracyValue", default_value=0.01)
approval_status = ParameterString(
    name="ModelApprovalStatus",
    default_value="PendingManualApproval",
    enum_values=["PendingManualApproval", "Approved"],
)

processor = SKLearnProcessor(
    framework_version="1.4-2",
    role=role,
    instance_type="ml.m5.large",
    instance_count=processing_instance_count,
    env={"AWS_DEFAULT_REGION": session.boto_region_name},
    max_runtime_in_seconds=600,
    sagemaker_session=session,
)
processing_step = ProcessingStep(
    name="Processing",
    step_args=processor.run(
        code=str(project / "prepare.py"),
        inputs=[
            ProcessingInput(
                input_name="raw-input-data",
                source=input_data,
                destination="/opt/ml/processing/input/data/",
                s3_data_distribution_type="ShardedByS3Key",
            )
        ],
        outputs=[
            ProcessingOutput(
                output_name=f"sentiment-{name}", source=f"/opt/ml/processing/output/sentiment/{name}"
            )
            for name in ("train", "validation", "test")
        ],
        arguments=["--train-split-percentage", train_split_percentage.to_string()],
    ),
    cache_config=cache_config,
)


def processed(name):
    outputs = processing_step.properties.ProcessingOutputConfig.Outputs
    return outputs[f"sentiment-{name}"].S3Output.S3Uri


estimator = SKLearn(
    entry_point="train.py",
    source_dir=str(project),
    framework_version="1.4-2",
    instance_type="ml.m5.large",
    instance_count=1,
    role=role,
    hyperparameters={"alpha": alpha},
    metric_definitions=[{"Name": "validation:accuracy", "Regex": r"val_acc: ([0-9.]+)"}],
    sagemaker_session=session,
)
training_step = TrainingStep(
    name="Train",
    step_args=estimator.fit(
        {
            name: TrainingInput(s3_data=processed(name), content_type="text/csv")
            for name in ("train", "validation")
        }
    ),
    cache_config=cache_config,
)
model_data = training_step.properties.ModelArtifacts.S3ModelArtifacts

evaluation_report = PropertyFile(name="EvaluationReport", output_name="metrics", path="evaluation.json")
evaluation_processor = SKLearnProcessor(
    framework_version="1.4-2",
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
        inputs=[
            ProcessingInput(
                input_name="model", source=model_data, destination="/opt/ml/processing/input/model"
            ),
            ProcessingInput(
                input_name="data", source=processed("test"), destination="/opt/ml/processing/input/data"
            ),
        ],
        outputs=[ProcessingOutput(output_name="metrics", source="/opt/ml/processing/output/metrics/")],
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
model_metrics = ModelMetrics(
    model_statistics=MetricsSource(s3_uri=report_uri, content_type="application/json")
)
register_step = RegisterModel(
    name="RegisterModel",
    estimator=estimator,
    model_data=model_data,
    content_types=["text/csv"],
    response_types=["application/json"],
    inference_instances=["ml.m5.large"],
    transform_instances=["ml.m5.large"],
    model_package_group_name=f"{pipeline_name}-group",
    approval_status=approval_status,
    model_metrics=model_metrics,
)
model = SKLearnModel(
    model_data=model_data,
    role=role,
    entry_point=str(project / "inference.py"),
    framework_version="1.4-2",
    sagemaker_session=session,
)
create_step = ModelStep(name="CreateModel", step_args=model.create(instance_type="ml.m5.large"))

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
        alpha,
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
