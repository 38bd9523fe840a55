"""Train a classifier of sentiment in script mode, and say how good it is on the validation data."""

import argparse
import os
import pathlib

import joblib
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline


def read(folder: str) -> pd.DataFrame:
    return pd.concat(pd.read_csv(path) for path in sorted(pathlib.Path(folder).glob("*.csv")))


parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
parser.add_argument("--validation", default=os.environ["SM_CHANNEL_VALIDATION"])
args, _ = parser.parse_known_args()

train, validation = read(args.train), read(args.validation)
model = make_pipeline(CountVectorizer(), MultinomialNB(alpha=args.alpha))
model.fit(train["review"], train["sentiment"])
print(f"val_acc: {model.score(validation['review'], validation['sentiment']):.4f}")
joblib.dump(model, pathlib.Path(args.model_dir) / "model.joblib")
