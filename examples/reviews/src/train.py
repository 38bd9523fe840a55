"""Training script (script mode): fit TF-IDF of word n-grams and a linear classifier."""

import argparse
import os
from pathlib import Path

import joblib
from reviews import read_split
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=1e-4, help="strength of the regularisation")
    parser.add_argument("--max_ngram", type=int, default=2, help="the most words of a term")
    parser.add_argument("--min_df", type=int, default=2, help="the least reviews a term occurs in")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    arguments = parser.parse_args()

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, arguments.max_ngram), min_df=arguments.min_df, sublinear_tf=True),
        SGDClassifier(loss="log_loss", alpha=arguments.alpha, random_state=arguments.seed),
    )
    reviews, labels = read_split(arguments.train)
    model.fit(reviews, labels)
    print(f"trained on {len(reviews)} reviews")
    # pipeline.yaml reads the metric from this line.
    print(f"validation accuracy: {model.score(*read_split(arguments.validation)):.6f}")
    # Notes of the fit that differ each time and that no prediction needs: without them the same data make the
    # same file.
    for note in ("stop_words_", "_stop_words_id"):
        vars(model[0]).pop(note, None)
    joblib.dump(model, Path(arguments.model_dir) / "model.joblib")


if __name__ == "__main__":
    main()
