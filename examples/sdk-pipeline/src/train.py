"""Training script (script mode): fit TF-IDF of words and a linear classifier."""

import argparse
import csv
import os
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline


def read(folder):
    """Return the reviews and the sentiments of all instances' parts."""
    rows = []
    for path in sorted(Path(folder).glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.reader(file))
    return [review for review, _ in rows], [sentiment == "great" for _, sentiment in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=1e-4)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    arguments, _ = parser.parse_known_args()
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        SGDClassifier(loss="log_loss", alpha=arguments.alpha, random_state=0),
    )
    model.fit(*read(arguments.train))
    # The training step's metric definitions read this line.
    print(f"validation accuracy: {model.score(*read(arguments.validation)):.6f}")
    # Notes of the fit that differ each time and that no prediction needs: without them the same data make the
    # same file.
    for note in ("stop_words_", "_stop_words_id"):
        vars(model[0]).pop(note, None)
    joblib.dump(model, Path(arguments.model_dir) / "model.joblib")


if __name__ == "__main__":
    main()
