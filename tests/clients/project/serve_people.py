"""Serve a model that knows of people's ages alone: whether they are above 40."""


def model_fn(folder: str) -> None:
    return None


def input_fn(data: bytes | str, content_type: str) -> list[list[str]]:
    text = data.decode() if isinstance(data, bytes) else data
    return [line.split(",") for line in text.splitlines() if line]


def predict_fn(rows: list[list[str]], model: None) -> list[int]:
    return [int(float(row[0]) > 40) for row in rows]


def output_fn(predicted: list[int], accept: str) -> tuple[str, str]:
    return "\n".join(map(str, predicted)), "text/csv"
