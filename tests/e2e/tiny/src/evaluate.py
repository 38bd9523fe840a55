"""Score a model on the test rows."""

import csv
import json
import pathlib
import tarfile

root = pathlib.Path("/opt/ml/processing")
with tarfile.open(root / "model/model.tar.gz") as archive:
    threshold = json.load(archive.extractfile("model.json"))["threshold"]
with (root / "test/data.csv").open(newline="") as file:
    data = [(float(row["x"]), int(row["y"])) for row in csv.DictReader(file)]
accuracy = sum((x > threshold) == bool(y) for x, y in data) / len(data)
(root / "evaluation").mkdir(parents=True, exist_ok=True)
(root / "evaluation/evaluation.json").write_text(json.dumps({"metrics": {"accuracy": {"value": accuracy}}}))
