"""Processing script: score the PyTorch model on the test data, for the pipeline's condition and the gates."""

import json
import tarfile
import tempfile
from pathlib import Path

import reviews_pytorch

PROCESSING = Path("/opt/ml/processing")


def main():
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(PROCESSING / "input" / "model" / "model.tar.gz") as archive:
            archive.extract("model.pth", folder, filter="data")
        model = reviews_pytorch.load(Path(folder) / "model.pth")
    texts, labels = reviews_pytorch.read(PROCESSING / "input" / "test")
    accuracy = reviews_pytorch.accuracy(model, texts, labels)
    report = PROCESSING / "output" / "evaluation" / "evaluation.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"metrics": {"accuracy": {"value": accuracy}}, "rows": len(labels)}))
    print(f"accuracy {accuracy:.4f} on {len(labels)} reviews")


if __name__ == "__main__":
    main()
