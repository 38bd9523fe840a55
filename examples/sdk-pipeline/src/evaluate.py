"""Processing script: score the model on the test data, for the pipeline's condition and for the gates."""

import csv
import json
import tarfile
from pathlib import Path

import joblib

PROCESSING = Path("/opt/ml/processing")


def main():
    with tarfile.open(PROCESSING / "input" / "model" / "model.tar.gz") as archive:
        model = joblib.load(archive.extractfile("model.joblib"))
    rows = []
    for path in sorted((PROCESSING / "input" / "test").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.reader(file))
    accuracy = model.score([review for review, _ in rows], [sentiment == "great" for _, sentiment in rows])
    report = PROCESSING / "output" / "evaluation" / "evaluation.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"metrics": {"accuracy": {"value": float(accuracy)}}, "rows": len(rows)}))
    print(f"accuracy {accuracy:.4f} on {len(rows)} reviews")


if __name__ == "__main__":
    main()
