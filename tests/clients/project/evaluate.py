"""Write how good the model is on the test data."""

import json
import pathlib
import tarfile

import joblib
import pandas as pd

BASE = pathlib.Path("/opt/ml/processing")

with tarfile.open(BASE / "input/model/model.tar.gz") as archive:
    archive.extractall(BASE / "model", filter="data")
model = joblib.load(BASE / "model/model.joblib")
test = pd.concat(pd.read_csv(path) for path in sorted((BASE / "input/data").glob("*.csv")))
accuracy = float(model.score(test["review"], test["sentiment"]))
report = BASE / "output/metrics/evaluation.json"
report.parent.mkdir(parents=True, exist_ok=True)
report.write_text(json.dumps({"metrics": {"accuracy": {"value": accuracy}}}))
