"""The pipeline of SageMaker that a build runs, as people write it with version 2 of the SDK.

`sluice push` calls get_pipeline with what its parameters name of what the stack knows. InputManifest is the
list of the files of the data set that was validated: the run gives it.
"""

from pathlib import Path

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
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

SCRIPTS = Path(__file__).parent / "src"
VERSION, INSTANCE = "1.4-2", "ml.m5.large"
SPLITS = ("train", "validation", "test")


def get_pipeline(role, default_bucket, pipeline_name, model_package_group_name):
    session = PipelineSession(default_bucket=default_bucket)
    manifest = ParameterString("InputManifest")
    instances = ParameterInteger("ProcessingInstanceCount", default_value=2)
    train_share = ParameterFloat("TrainShare", default_value=0.7)
    alpha = ParameterFloat("Alpha", default_value=1e-4)
    min_accuracy = ParameterFloat("MinAccuracyValue", default_value=0.6)
    common = {"role": role, "instance_type": INSTANCE, "sagemaker_session": session}

    processor = SKLearnProcessor(VERSION, instance_count=instances, **common)
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
            arguments=["--train-share", train_share.to_string()],
        ),
    )
    prepared = prepare.properties.ProcessingOutputConfig.Outputs

    estimator = SKLearn(
        "train.py",
        source_dir=str(SCRIPTS),
        framework_version=VERSION,
        instance_count=1,
        hyperparameters={"alpha": alpha},
        metric_definitions=[{"Name": "validation:accuracy", "Regex": "validation accuracy: ([0-9.]+)"}],
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
    evaluate = ProcessingStep(
        "Evaluate",
        step_args=SKLearnProcessor(VERSION, instance_count=1, **common).run(
            code=str(SCRIPTS / "evaluate.py"),
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
    register = RegisterModel(
        "Register",
        estimator=estimator,
        model_data=model_data,
        content_types=["application/json"],
        response_types=["application/json"],
        inference_instances=[INSTANCE],
        transform_instances=[INSTANCE],
        model_package_group_name=model_package_group_name,
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(model_statistics=statistics),
    )
    model = SKLearnModel(model_data, role, str(SCRIPTS / "inference.py"), VERSION, sagemaker_session=session)
    create = ModelStep("Create", step_args=model.create(instance_type=INSTANCE))

    accuracy = JsonGet(step_name=evaluate.name, property_file=report, json_path="metrics.accuracy.value")
    condition = ConditionStep(
        "IsAccurate",
        conditions=[ConditionGreaterThanOrEqualTo(accuracy, min_accuracy)],
        if_steps=[register, create],
        else_steps=[
            FailStep("TooBad", error_message=Join(on=" ", values=["the accuracy is below", min_accuracy]))
        ],
    )
    return Pipeline(
        pipeline_name,
        parameters=[manifest, instances, train_share, alpha, min_accuracy],
        steps=[prepare, train, evaluate, condition],
        sagemaker_session=session,
    )
