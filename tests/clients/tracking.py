"""Experiments and lineage as people ask for them with the SageMaker SDKs, of an execution of a pipeline.

python tracking.py BUCKET PIPELINE EXECUTION_ARN
"""

import json
import pathlib
import sys

try:  # the SDK 3
    from sagemaker.core.analytics import ExperimentAnalytics
    from sagemaker.core.experiments.experiment import Experiment
    from sagemaker.core.experiments.run import Run, list_runs, load_run
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.lineage.artifact import Artifact
    from sagemaker.core.lineage.association import Association
    from sagemaker.core.lineage.context import Context
    from sagemaker.core.lineage.lineage_trial_component import LineageTrialComponent
    from sagemaker.core.lineage.query import LineageFilter, LineageQuery, LineageQueryDirectionEnum
    from sagemaker.core.lineage.visualizer import LineageTableVisualizer
except ImportError:
    from sagemaker.analytics import ExperimentAnalytics
    from sagemaker.experiments import Experiment, Run, list_runs, load_run
    from sagemaker.lineage.artifact import Artifact
    from sagemaker.lineage.association import Association
    from sagemaker.lineage.context import Context
    from sagemaker.lineage.lineage_trial_component import LineageTrialComponent
    from sagemaker.lineage.query import LineageFilter, LineageQuery, LineageQueryDirectionEnum
    from sagemaker.lineage.visualizer import LineageTableVisualizer
    from sagemaker.session import Session

bucket, pipeline_name, execution_arn = sys.argv[1:]
session = Session(default_bucket=bucket)
client = session.sagemaker_client
steps = {
    step["StepName"]: step
    for step in client.list_pipeline_execution_steps(PipelineExecutionArn=execution_arn)[
        "PipelineExecutionSteps"
    ]
}

# What led to each step, and what came of it.
visualizer = LineageTableVisualizer(session)
tables = {}
for name, step in steps.items():
    frame = visualizer.show(pipeline_execution_step=step)
    tables[name] = None if frame is None else frame.values.tolist()

# All that the pipeline's executions did, as a table.
analytics = ExperimentAnalytics(sagemaker_session=session, experiment_name=pipeline_name)
frame = analytics.dataframe()
trained = frame[frame["SourceArn"].str.contains("training-job", na=False)].to_dict("records")

# The data and jobs that a registered model comes from.
(package_arn,) = [
    step["Metadata"]["RegisterModel"]["Arn"] for step in steps.values() if "RegisterModel" in step["Metadata"]
]
(package,) = Artifact.list(source_uri=package_arn, sagemaker_session=session)
upstream = LineageQuery(session).query(
    start_arns=[package.artifact_arn],
    direction=LineageQueryDirectionEnum.ASCENDANTS,
    query_filter=LineageFilter(sources=["DataSet", "TrainingJob", "ProcessingJob"]),
)
whole = LineageQuery(session).query(start_arns=[package.artifact_arn], include_edges=True)
job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
component = LineageTrialComponent.load(f"{job}-aws-training-job", sagemaker_session=session)
groups = [
    context.context_name for context in Context.list(context_type="ModelGroup", sagemaker_session=session)
]

# A run of one's own.
experiment_name, run_name = f"{pipeline_name}-by-hand", "first"
report = pathlib.Path("report.txt")
report.write_text("so it is")
with Run(experiment_name=experiment_name, run_name=run_name, sagemaker_session=session) as run:
    run.log_parameters({"alpha": 0.5, "solver": "saga"})
    for step in range(12):
        run.log_metric(name="loss", value=1 / (step + 1), step=step)
    run.log_file(str(report), name="report", is_output=True)
with load_run(experiment_name=experiment_name, run_name=run_name, sagemaker_session=session) as loaded:
    loaded.log_parameter("again", 1)
runs = list_runs(experiment_name=experiment_name, sagemaker_session=session)
described = client.describe_trial_component(TrialComponentName=runs[0]._trial_component.trial_component_name)
loss = [metric for metric in described["Metrics"] if metric["MetricName"] == "loss"]

# Lineage of one's own.
raw = Artifact.create(
    artifact_name="raw",
    source_uri=f"s3://{bucket}/by-hand/",
    artifact_type="DataSet",
    sagemaker_session=session,
)
raw.set_tag({"Key": "team", "Value": "reviews"})
Association.create(
    source_arn=raw.artifact_arn,
    destination_arn=package.artifact_arn,
    association_type="ContributedTo",
    sagemaker_session=session,
)
before = [
    each.source_name for each in Association.list(source_arn=raw.artifact_arn, sagemaker_session=session)
]
raw.delete(disassociate=True)
after = [
    each.artifact_arn
    for each in Artifact.list(source_uri=f"s3://{bucket}/by-hand/", sagemaker_session=session)
]
Experiment.load(experiment_name, session)._delete_all(action="--force")
left = [each["ExperimentName"] for each in client.list_experiments()["ExperimentSummaries"]]

print(
    json.dumps(
        {
            "tables": tables,
            "trained": trained,
            "upstream": [[vertex.lineage_source, vertex.arn] for vertex in upstream.vertices],
            "edges": len(whole.edges),
            "execution": component.pipeline_execution_arn(),
            "groups": groups,
            "runs": [each.run_name for each in runs],
            "parameters": described["Parameters"],
            "outputs": sorted(described["OutputArtifacts"]),
            "loss": loss,
            "before": before,
            "after": after,
            "left": left,
        },
        default=str,
    )
)
