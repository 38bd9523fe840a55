"""Write a run manifest as OpenLineage run events, which other catalogs of lineage take.

The form is OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json), the facets those that its
specification names. Names of data sets follow its naming: `s3://BUCKET` and the key.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.domain.locations import bucket_and_key

Event = dict[str, Any]
PRODUCER = "urn:sluice:run-manifest"
_SPEC = "https://openlineage.io/spec"
_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
_STATES = {"Completed": "COMPLETE", "Failed": "FAIL", "Stopped": "ABORT"}


def events(document: Mapping[str, Any], stack: str) -> list[Event]:
    """Return a START and an end event for the run and for each of its jobs, in the order of their times.

    `document` is a run manifest, of any format.
    """
    written = _Writer(document, f"sluice://{stack}/{document['pipeline']}")
    found = [event for step in document["steps"] if step.get("job_name") for event in written.of_step(step)]
    return sorted([*written.of_run(), *found], key=lambda event: str(event["eventTime"]))


class _Writer:
    def __init__(self, document: Mapping[str, Any], namespace: str) -> None:
        self._document, self._namespace = document, namespace
        jobs = [step for step in document["steps"] if step.get("job_name")]
        ended = str(document["created_at"])
        self._started = min(
            [str(step["started_at"]) for step in jobs if step.get("started_at")], default=ended
        )

    def of_run(self) -> list[Event]:
        """Return the events of the whole run: from the data set and the project to the model."""
        inputs = [self._data_set(), *self._named("bundle", "code")]
        outputs = self._named("model", "evaluation")
        told = "run", self._document["run_id"], {**self._code(), **_job_type("PIPELINE")}
        return [
            self._event("START", self._started, *told, {}, inputs, []),
            self._event("COMPLETE", self._document["created_at"], *told, {}, inputs, outputs),
        ]

    def of_step(self, step: Mapping[str, Any]) -> list[Event]:
        name = step["step"]
        told = name, f"{self._document['run_id']}#{name}", {**self._code(), **_job_type("JOB")}
        parent = {
            "run": {"runId": self._run_id(self._document["run_id"])},
            "job": {"namespace": self._namespace, "name": "run"},
        }
        facets = {"parent": _facet("ParentRunFacet", "1-2-0", **parent), **_processing(step)}
        if name == self._document["candidate"] and (chosen := self._document["parameters"].get("train")):
            facets["executionParameters"] = _parameters(chosen)
        if step.get("failure_reason"):
            said = {"message": str(step["failure_reason"]), "programmingLanguage": "python"}
            facets["errorMessage"] = _facet("ErrorMessageRunFacet", "1-0-1", **said)
        inputs, outputs = self._inputs(step), self._outputs(step)
        started, ended = step.get("started_at"), step.get("ended_at")
        found = [self._event("START", started, *told, facets, inputs, [])] if started else []
        state = _STATES.get(str(step.get("status")), "OTHER")
        at = ended or started or self._document["created_at"]
        return [*found, self._event(state, at, *told, facets, inputs, outputs)]

    def _event(
        self,
        state: str,
        at: Any,
        job: str,
        run: str,
        job_facets: Mapping[str, Any],
        run_facets: Mapping[str, Any],
        inputs: Sequence[Event],
        outputs: Sequence[Event],
    ) -> Event:
        return {
            "eventType": state,
            "eventTime": str(at),
            "run": {"runId": self._run_id(run), "facets": dict(run_facets)},
            "job": {"namespace": self._namespace, "name": job, "facets": dict(job_facets)},
            "inputs": [*inputs],
            "outputs": [*outputs],
            "producer": PRODUCER,
            "schemaURL": _SCHEMA,
        }

    def _run_id(self, run: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self._namespace}#{run}"))

    def _data_set(self) -> Event:
        inputs = self._document["inputs"]
        version = _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=inputs["dataset_version"])
        size = {"rowCount": inputs["dataset_rows"], "size": inputs["dataset_size_bytes"]}
        return {
            **_place(inputs["dataset_manifest_uri"]),
            "facets": {"version": version},
            "inputFacets": {"inputStatistics": _facet("InputStatisticsInputDatasetFacet", "1-0-0", **size)},
        }

    def _named(self, *names: str) -> list[Event]:
        return [_artifact(each) for each in self._document["artifacts"] if each["name"] in names]

    def _inputs(self, step: Mapping[str, Any]) -> list[Event]:
        """Return what a job read: the data set, what prepare wrote, or a model and the test data."""
        name = step["step"]
        if name == "prepare":
            return [self._data_set()]
        wanted = ("train", "validation") if name.startswith("train-") else ("test",)
        prepared = [each for each in self._document["steps"] if each["step"] == "prepare"]
        uris = [
            uri for each in prepared for split, uri in (each.get("outputs") or {}).items() if split in wanted
        ]
        models = self._named("model") if name == "evaluate-candidate" else []
        return [*({**_place(uri), "facets": {}} for uri in uris), *models]

    def _outputs(self, step: Mapping[str, Any]) -> list[Event]:
        chosen = step["step"] == self._document["candidate"]
        outputs = (step.get("outputs") or {}).values()
        return [
            *({**_place(uri), "facets": {}} for uri in outputs if uri),
            *(self._named("model") if chosen else []),
        ]

    def _code(self) -> dict[str, Any]:
        """Return the facet of the commit, if the push named one with a remote."""
        source = self._document["inputs"].get("source") or {}
        if not (source.get("commit") and source.get("remote")):
            return {}
        said = {
            "type": "git",
            "url": source["remote"],
            "repoUrl": source["remote"],
            "version": source["commit"],
        }
        branch = {"branch": source["branch"]} if source.get("branch") else {}
        return {"sourceCodeLocation": _facet("SourceCodeLocationJobFacet", "1-1-0", **said, **branch)}


def _job_type(kind: str) -> dict[str, Any]:
    said = {"processingType": "BATCH", "integration": "SLUICE", "jobType": kind}
    return {"jobType": _facet("JobTypeJobFacet", "2-0-4", **said)}


def _processing(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facet of the engine: SageMaker's image, or Lambda's environment."""
    name = "AWS Lambda" if step.get("backend") == "lambda" else "Amazon SageMaker"
    said = {"name": name, "version": str(step.get("image") or "unknown")}
    return {"processing_engine": _facet("ProcessingEngineRunFacet", "1-1-1", **said)}


def _parameters(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facet of the chosen candidate's hyperparameters."""
    said = [{"key": str(name), "name": str(name), "value": str(value)} for name, value in chosen.items()]
    return _facet("ExecutionParametersRunFacet", "1-0-0", parameters=said)


def _artifact(artifact: Mapping[str, Any]) -> Event:
    """Return a data set of one object, whose version is its digest."""
    version = artifact["sha256"] or artifact.get("version_id") or "unknown"
    facet = _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=version)
    return {**_place(artifact["uri"]), "facets": {"version": facet}}


def _place(uri: str) -> Event:
    bucket, key = bucket_and_key(str(uri))
    return {"namespace": f"s3://{bucket}", "name": key}


def _facet(name: str, edition: str, /, **said: Any) -> dict[str, Any]:
    """Return a facet; its URL names the file of its specification, in which it is defined."""
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{_SPEC}/facets/{edition}/{name}.json#/$defs/{name}",
        **said,
    }
