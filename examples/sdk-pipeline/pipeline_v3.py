"""The pipeline of pipeline.py, as people write it with version 3 of the SDK.

To use it name it in pipeline.yaml (`build: {pipeline: pipeline_v3.py}`). Version 3 gives jobs no places to
write to: they are below the prefix that `sluice push` tells, apart for each execution.
"""

from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import (
    MetricDefinition,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

SCRIPTS = Path(__file__).parent / "src"
VERSION, INSTANCE = "1.4-2", "ml.m5.large"
SPLITS = ("train", "validation", "test")


def read(name, uri, kind="S3Prefix", distribution="FullyReplicated"):
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"/opt/ml/processing/input/{name}",
            s3_data_type=kind,
            s3_input_mode="File",
            s3_data_distribution_type=distribution,
        ),
    )


def written(name, uri):
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=uri, local_path=f"/opt/ml/processing/output/{name}", s3_upload_mode="EndOfJob"
        ),
    )


def get_pipeline(
    region, role, default_bucket, default_bucket_prefix, pipeline_name, model_package_group_name
):
    session = PipelineSession(default_bucket=default_bucket, default_bucket_prefix=default_bucket_prefix)
    image_uri = image_uris.retrieve("sklearn", region=region, version=VERSION, py_version="py3")
    manifest = ParameterString(name="InputManifest")
    instances = ParameterInteger(name="ProcessingInstanceCount", default_value=2)
    train_share = ParameterFloat(name="TrainShare", default_value=0.7)
    min_accuracy = ParameterFloat(name="MinAccuracyValue", default_value=0.6)

    def place(name):
        """Return where an execution writes something, apart from all others."""
        own = (ExecutionVariables.PIPELINE_EXECUTION_ID, name)
        return Join(on="/", values=[f"s3://{default_bucket}/{default_bucket_prefix}", *own])

    def processor(instance_count):
        return ScriptProcessor(
            image_uri=image_uri,
            command=["python3"],
            role=role,
            instance_type=INSTANCE,
            instance_count=instance_count,
            sagemaker_session=session,
        )

    prepare = ProcessingStep(
        name="Prepare",
        step_args=processor(instances).run(
            code=str(SCRIPTS / "prepare.py"),
            inputs=[read("data", manifest, "ManifestFile", "ShardedByS3Key")],
            outputs=[written(split, place(split)) for split in SPLITS],
            arguments=["--train-share", train_share.to_string()],
        ),
    )
    prepared = prepare.properties.ProcessingOutputConfig.Outputs

    trainer = ModelTrainer(
        training_image=image_uri,
        source_code=SourceCode(source_dir=str(SCRIPTS), entry_script="train.py"),
        compute=Compute(instance_type=INSTANCE, instance_count=1),
        output_data_config=OutputDataConfig(s3_output_path=place("model")),
        base_job_name="reviews",
        hyperparameters={"alpha": 1e-4},
        role=role,
        sagemaker_session=session,
    ).with_metric_definitions(
        [MetricDefinition(name="validation:accuracy", regex="validation accuracy: ([0-9.]+)")]
    )
    train = TrainingStep(
        name="Train",
        step_args=trainer.train(
            input_data_config=[
                InputData(channel_name=split, data_source=prepared[split].S3Output.S3Uri)
                for split in ("train", "validation")
            ]
        ),
    )
    model_data = train.properties.ModelArtifacts.S3ModelArtifacts

    report = PropertyFile(name="EvaluationReport", output_name="evaluation", path="evaluation.json")
    evaluate = ProcessingStep(
        name="Evaluate",
        step_args=processor(1).run(
            code=str(SCRIPTS / "evaluate.py"),
            inputs=[read("model", model_data), read("test", prepared["test"].S3Output.S3Uri)],
            outputs=[written("evaluation", place("evaluation"))],
        ),
        property_files=[report],
    )
    folder = evaluate.properties.ProcessingOutputConfig.Outputs["evaluation"].S3Output.S3Uri
    statistics = MetricsSource(
        content_type="application/json", s3_uri=Join(on="/", values=[folder, "evaluation.json"])
    )
    builder = ModelBuilder(
        s3_model_data_url=model_data, image_uri=image_uri, role_arn=role, sagemaker_session=session
    )
    register = ModelStep(
        name="Register",
        step_args=builder.register(
            model_package_group_name=model_package_group_name,
            content_types=["application/json"],
            response_types=["application/json"],
            inference_instances=[INSTANCE],
            transform_instances=[INSTANCE],
            approval_status="PendingManualApproval",
            model_metrics=ModelMetrics(model_statistics=statistics),
        ),
    )

    accuracy = JsonGet(step_name=evaluate.name, property_file=report, json_path="metrics.accuracy.value")
    condition = ConditionStep(
        name="IsAccurate",
        conditions=[ConditionGreaterThanOrEqualTo(left=accuracy, right=min_accuracy)],
        if_steps=[register],
        else_steps=[
            FailStep(
                name="TooBad", error_message=Join(on=" ", values=["the accuracy is below", min_accuracy])
            )
        ],
    )
    return Pipeline(
        name=pipeline_name,
        parameters=[manifest, instances, train_share, min_accuracy],
        steps=[prepare, train, evaluate, condition],
        sagemaker_session=session,
    )
