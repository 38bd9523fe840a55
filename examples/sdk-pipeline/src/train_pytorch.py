"""Training script (script mode): fit the PyTorch model, and put what serves it into its archive."""

import argparse
import os
import random
import shutil
from pathlib import Path

import reviews_pytorch
import torch
from torch import nn

BATCH = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    arguments, _ = parser.parse_known_args()
    torch.manual_seed(0)
    draw = random.Random(0)  # noqa: S311
    rows = list(zip(*reviews_pytorch.read(arguments.train), strict=True))
    validation = reviews_pytorch.read(arguments.validation)
    model = reviews_pytorch.Sentiment()
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate)
    loss_of = nn.BCEWithLogitsLoss()
    for epoch in range(arguments.epochs):
        model.train()
        draw.shuffle(rows)
        for start in range(0, len(rows), BATCH):
            texts, labels = zip(*rows[start : start + BATCH], strict=True)
            optimizer.zero_grad()
            loss = loss_of(model(*reviews_pytorch.encoded(texts)), torch.tensor(labels))
            loss.backward()
            optimizer.step()
        # The training step's metric definitions read this line.
        print(f"epoch {epoch + 1} validation accuracy: {reviews_pytorch.accuracy(model, *validation):.6f}")
    folder = Path(arguments.model_dir)
    torch.save(model.state_dict(), folder / "model.pth")
    # PyTorch's images serve the script that the archive has in code/.
    scripts = Path(__file__).parent
    (folder / "code").mkdir()
    for name in ("inference_pytorch.py", "reviews_pytorch.py"):
        shutil.copy(scripts / name, folder / "code" / name)
    shutil.copy(scripts / "inference_pytorch.py", folder / "code" / "inference.py")


if __name__ == "__main__":
    main()
