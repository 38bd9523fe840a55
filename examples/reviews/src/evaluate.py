"""Processing script: score a model on the test split.

Reads the model archive in /opt/ml/processing/model and the CSV files in /opt/ml/processing/test; writes
evaluation.json and predictions.csv, which the gates read, to /opt/ml/processing/evaluation.
"""

import csv
import hashlib
import json
import tarfile
from pathlib import Path

import joblib
from reviews import OTHER, POSITIVE, read_split
from sklearn.metrics import accuracy_score, roc_auc_score

PROCESSING = Path("/opt/ml/processing")


def load_model(archive):
    with tarfile.open(archive) as tar:
        return joblib.load(tar.extractfile("model.joblib"))


def prediction(review, label, predicted, score):
    """Return a row named by the review's digest, which pairs rows of two models without repeating text."""
    name = hashlib.sha256(review.encode()).hexdigest()[:16]
    return name, sentiment(label), sentiment(predicted), f"{score:.6f}", length(review)


def sentiment(is_positive):
    return POSITIVE if is_positive else OTHER


def length(review):
    """Return the slice of a review, which the gates look at apart: short ones say less."""
    words = len(review.split())
    return "short" if words < 40 else "medium" if words < 90 else "long"


def main():
    model = load_model(PROCESSING / "model" / "model.tar.gz")
    reviews, labels = read_split(PROCESSING / "test")
    scores = model.predict_proba(reviews)[:, 1]
    predicted = scores >= 0.5
    metrics = {
        "accuracy": {"value": float(accuracy_score(labels, predicted))},
        "auc": {"value": float(roc_auc_score(labels, scores))},
    }

    folder = PROCESSING / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps({"metrics": metrics, "rows": len(reviews)}))
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "label", "prediction", "score", "length"))
        rows.writerows(map(prediction, reviews, labels, predicted, scores))
    print(f"evaluated on {len(reviews)} reviews: {metrics}")


if __name__ == "__main__":
    main()
