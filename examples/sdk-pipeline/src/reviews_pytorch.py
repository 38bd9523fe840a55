"""The model of reviews in PyTorch: the mean of the embeddings of a text's words, and a layer on it."""

import csv
import re
import zlib
from pathlib import Path

import torch
from torch import nn

BUCKETS, SIZE = 2**15, 32
_WORD = re.compile(r"\w+")


class Sentiment(nn.Module):
    """Words are hashed, so that the model needs no vocabulary beside its weights."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(BUCKETS, SIZE, mode="mean")
        self.output = nn.Linear(SIZE, 1)

    def forward(self, words, offsets):
        return self.output(self.embedding(words, offsets)).squeeze(1)


def encoded(texts):
    """Return the words of all texts as numbers, and where each text begins. A text without words has one."""
    rows = [
        [zlib.crc32(word.lower().encode()) % BUCKETS for word in _WORD.findall(text)] or [0] for text in texts
    ]
    offsets = torch.tensor([0, *(len(row) for row in rows[:-1])]).cumsum(0)
    return torch.tensor([number for row in rows for number in row]), offsets


def read(folder):
    """Return the reviews and the sentiments (1 is great) of all instances' parts."""
    rows = []
    for path in sorted(Path(folder).glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.reader(file))
    return [review for review, _ in rows], [float(sentiment == "great") for _, sentiment in rows]


def scores(model, texts):
    """Return how likely each text is a great review, between 0 and 1."""
    if not texts:
        return []
    model.eval()
    with torch.no_grad():
        return torch.sigmoid(model(*encoded(texts))).tolist()


def accuracy(model, texts, labels):
    """Return the share of texts whose sentiment is told right."""
    right = sum(
        (score >= 0.5) == bool(label) for score, label in zip(scores(model, texts), labels, strict=True)
    )
    return right / len(labels)


def load(path):
    """Return the model whose weights lie at a path."""
    model = Sentiment()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model
