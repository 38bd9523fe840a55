"""Processing script: score a model on the test split.

Reads the model archive in /opt/ml/processing/model and the CSV files in /opt/ml/processing/test; writes
evaluation.json, which the gates read, and predictions.csv to /opt/ml/processing/evaluation.
"""

import csv
import json
import tarfile
from pathlib import Path

import xgboost
from deliveries import FEATURES, read_split
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

PROCESSING = Path("/opt/ml/processing")


def load_model(archive):
    model = xgboost.Booster()
    with tarfile.open(archive) as tar:
        model.load_model(bytearray(tar.extractfile("xgboost-model.json").read()))
    return model


def main():
    model = load_model(PROCESSING / "model" / "model.tar.gz")
    rows, features, labels = read_split(PROCESSING / "test")
    scores = model.predict(xgboost.DMatrix(features, feature_names=list(FEATURES)))
    metrics = {
        "accuracy": {"value": float(accuracy_score(labels, scores >= 0.5))},
        "auc": {"value": float(roc_auc_score(labels, scores))},
        "log_loss": {"value": float(log_loss(labels, scores, labels=[0, 1]))},
    }

    folder = PROCESSING / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps({"metrics": metrics, "rows": len(rows)}))
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "label", "prediction", "score", "carrier"))
        for row, label, score in zip(rows, labels, scores, strict=True):
            table.writerow((row["id"], int(label), int(score >= 0.5), f"{score:.6f}", row["carrier"]))
    print(f"evaluated on {len(rows)} deliveries: {metrics}")


if __name__ == "__main__":
    main()
