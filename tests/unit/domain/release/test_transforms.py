"""Transform jobs are asked for as SageMaker wants it, and what they answer is paired with what they read."""

from __future__ import annotations

import json

import pytest

from sluice.catalog.records.transforms import Batches
from sluice.domain.config.models import Serve
from sluice.domain.monitor.capture import Shape, Traffic
from sluice.domain.release import transforms

SERVE = Serve.model_validate(
    {
        "script": "src/inference.py",
        "sample": "sample.json",
        "content_type": "text/csv",
        "compute": {"instance_type": "ml.c5.xlarge", "batch": {"max_payload_mb": 2, "max_concurrency": 3}},
    }
)
PLACE = "s3://artifacts/transforms/reviews/reviews-batch-00001"
SHAPE = Shape({"x": "number"}, ["x"], None, None, ["y"], ["score"], is_number=True, is_score=False)


def test_a_transform_reads_the_listed_inputs_line_by_line() -> None:
    request = transforms.job_request(
        "sluice--reviews-batch-00001", "model", SERVE, PLACE, {"sluice:stack": "s"}
    )
    source = {"S3DataType": "ManifestFile", "S3Uri": f"{PLACE}/inputs.manifest"}
    assert request["TransformInput"]["DataSource"]["S3DataSource"] == source
    assert (request["TransformInput"]["SplitType"], request["BatchStrategy"]) == ("Line", "MultiRecord")
    assert (request["MaxPayloadInMB"], request["MaxConcurrentTransforms"]) == (2, 3)
    assert request["TransformOutput"]["S3OutputPath"] == f"{PLACE}/output"
    assert request["TransformResources"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1}
    listed = transforms.manifest("data", "reviews", ["batch/reviews/a.csv", "batch/reviews/deep/b.csv"])
    assert json.loads(listed) == [{"prefix": "s3://data/batch/reviews/"}, "a.csv", "deep/b.csv"]


def test_the_sample_is_one_request_whatever_the_split() -> None:
    request = transforms.proof_request("name", "model", SERVE, PLACE, {})
    assert (request["TransformInput"]["SplitType"], request["BatchStrategy"]) == ("None", "SingleRecord")
    assert request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == f"{PLACE}/input/"


@pytest.mark.parametrize(
    ("text", "content_type", "count"),
    [
        ("1,2\n\n3,4\n", "text/csv", 2),
        ('["a", "b", "c"]', "application/json", 3),
        ('{"x": 1}\n{"x": 2}\n', "application/jsonlines", 2),
        ('["a", "b"]\n["c"]\n', "application/json", 3),
        (
            '{"predictions": [1, 2], "version": "3"}\n{"predictions": [4], "version": "3"}',
            "application/json",
            3,
        ),
        ('{"x": 1}', "application/json", 1),
        ("<rows/>", "application/xml", None),
        ("{broken", "application/json", None),
    ],
)
def test_rows_are_counted_in_the_usual_shapes(text: str, content_type: str, count: int | None) -> None:
    assert transforms.rows(text, content_type) == count


@pytest.mark.parametrize("answer", ["3\n4\n5\n", "[3, 4]\n[5]\n", '{"y": 3}\n{"y": 4}\n{"y": 5}'])
def test_each_row_is_watched_with_its_answer_under_the_name_of_its_line(answer: str) -> None:
    """The record is one of SageMaker's: what watches endpoints reads it."""
    accept = "text/csv" if answer[0] == "3" else "application/json"
    serve = SERVE.model_copy(update={"accept": accept})
    at = "2026-11-29T10:00:00.000Z"
    line = transforms.record("a.csv", at, "0.5\n0.6\n0.7\n", answer, serve, "id")
    traffic = Traffic()
    traffic.add(line.decode(), SHAPE, ignored="")
    found = {name: (each.row["x"], float(str(each.prediction))) for name, each in traffic.rows.items()}
    assert found == {"a.csv#0": (0.5, 3.0), "a.csv#1": (0.6, 4.0), "a.csv#2": (0.7, 5.0)}
    assert not traffic.unreadable


@pytest.mark.parametrize(
    ("text", "data"), [("[1]\n[2, 3]\n", "[1, 2, 3]"), ("[1]\n2\n", "[1]\n2\n"), ("{broken", "{broken")]
)
def test_lines_of_lists_are_one_list_and_what_is_none_stays(text: str, data: str) -> None:
    assert transforms._joined(text) == data


def test_a_file_with_fewer_answers_than_rows_is_told() -> None:
    assert transforms.fault("a.csv", 3, 2) == "a.csv: 3 rows, but 2 answers"
    assert transforms.fault("a.csv", 3, 3) is transforms.fault("a.csv", None, 2) is None


def test_a_result_is_found_in_whatever_folder_sagemaker_put_it() -> None:
    found = ["t/output/a/z.csv.out", "t/output/batch/reviews/y.csv.out"]
    assert transforms.result_key("reviews", "batch/reviews/a/z.csv", "t/output", found) == found[0]
    assert transforms.result_key("reviews", "batch/reviews/y.csv", "t/output", found) == found[1]
    # Another folder has a file of its name.
    assert transforms.result_key("reviews", "batch/reviews/z.csv", "t/output", found) is None


def test_a_schedule_counts_from_the_last_start() -> None:
    begun = Batches("reviews", 1, None, "2026-11-29T10:00:00.000Z")
    assert transforms.due_at(begun, 3600) == "2026-11-29T11:00:00.000Z"
    assert transforms.due_at(begun, None) is transforms.due_at(Batches("reviews"), 60) is None
