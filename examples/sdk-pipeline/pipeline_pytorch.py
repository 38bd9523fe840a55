"""The pipeline of pipeline.py with PyTorch, for AWS, with version 2 of the SDK.

To use it name it in pipeline.yaml (`build: {pipeline: pipeline_pytorch.py}`), with the framework pytorch
2.6.0 and src/inference_pytorch.py to serve. The local cloud has no image of it: `sluice push` says so there.
"""

from pathlib import Path

from sagemaker.inputs import TrainingInput
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.pytorch.estimator import PyTorch
from sagemaker.pytorch.processing import PyTorchProcessor
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.step_collections import RegisterModel
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

SCRIPTS = Path(__file__).parent / "src"
TORCH = {"framework_version": "2.6.0", "py_version": "py312"}
SMALL, LARGE = "ml.m5.large", "ml.m5.xlarge"
SPLITS = ("train", "validation", "test")


def get_pipeline(role, default_bucket, pipeline_name, model_package_group_name):
    session = PipelineSession(default_bucket=default_bucket)
    manifest = ParameterString("InputManifest")
    instances = ParameterInteger("ProcessingInstanceCount", default_value=2)
    epochs = ParameterInteger("Epochs", default_value=5)
    instance_type = ParameterString("TrainingInstanceType", default_value=LARGE)
    min_accuracy = ParameterFloat("MinAccuracyValue", default_value=0.6)
    common = {"role": role, "sagemaker_session": session}

    # Preparing needs no PyTorch: it is the other pipeline's script, in the smaller image.
    processor = SKLearnProcessor("1.4-2", instance_count=instances, instance_type=SMALL, **common)
    prepare = ProcessingStep(
        "Prepare",
        step_args=processor.run(
            code=str(SCRIPTS / "prepare.py"),
            inputs=[
                ProcessingInput(
                    input_name="data",
                    source=manifest,
                    destination="/opt/ml/processing/input/data",
                    s3_data_type="ManifestFile",
                    s3_data_distribution_type="ShardedByS3Key",
                )
            ],
            outputs=[
                ProcessingOutput(output_name=split, source=f"/opt/ml/processing/output/{split}")
                for split in SPLITS
            ],
        ),
    )
    prepared = prepare.properties.ProcessingOutputConfig.Outputs

    estimator = PyTorch(
        "train_pytorch.py",
        source_dir=str(SCRIPTS),
        instance_count=1,
        instance_type=instance_type,
        hyperparameters={"epochs": epochs},
        metric_definitions=[{"Name": "validation:accuracy", "Regex": "validation accuracy: ([0-9.]+)"}],
        **TORCH,
        **common,
    )
    train = TrainingStep(
        "Train",
        step_args=estimator.fit(
            {split: TrainingInput(prepared[split].S3Output.S3Uri) for split in ("train", "validation")}
        ),
    )
    model_data = train.properties.ModelArtifacts.S3ModelArtifacts

    report = PropertyFile("EvaluationReport", output_name="evaluation", path="evaluation.json")
    scorer = PyTorchProcessor(instance_count=1, instance_type=LARGE, **TORCH, **common)
    evaluate = ProcessingStep(
        "Evaluate",
        step_args=scorer.run(
            code="evaluate_pytorch.py",
            source_dir=str(SCRIPTS),
            inputs=[
                ProcessingInput(
                    input_name="model", source=model_data, destination="/opt/ml/processing/input/model"
                ),
                ProcessingInput(
                    input_name="test",
                    source=prepared["test"].S3Output.S3Uri,
                    destination="/opt/ml/processing/input/test",
                ),
            ],
            outputs=[
                ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/output/evaluation")
            ],
        ),
        property_files=[report],
    )
    folder = evaluate.properties.ProcessingOutputConfig.Outputs["evaluation"].S3Output.S3Uri
    statistics = MetricsSource("application/json", Join(on="/", values=[folder, "evaluation.json"]))
    # What serves is `serve` of pipeline.yaml; train_pytorch.py puts its script into the archive.
    register = RegisterModel(
        "Register",
        estimator=estimator,
        model_data=model_data,
        content_types=["application/json"],
        response_types=["application/json"],
        inference_instances=[LARGE],
        transform_instances=[LARGE],
        model_package_group_name=model_package_group_name,
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(model_statistics=statistics),
    )

    accuracy = JsonGet(step_name=evaluate.name, property_file=report, json_path="metrics.accuracy.value")
    condition = ConditionStep(
        "IsAccurate",
        conditions=[ConditionGreaterThanOrEqualTo(accuracy, min_accuracy)],
        if_steps=[register],
        else_steps=[
            FailStep("TooBad", error_message=Join(on=" ", values=["the accuracy is below", min_accuracy]))
        ],
    )
    return Pipeline(
        pipeline_name,
        parameters=[manifest, instances, epochs, instance_type, min_accuracy],
        steps=[prepare, train, evaluate, condition],
        sagemaker_session=session,
    )
