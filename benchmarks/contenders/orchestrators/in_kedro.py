"""Kedro: nodes in memory, the runner with threads."""

import steps
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import ThreadRunner


def prepare() -> bool:
    steps.prepare()
    return True


def train_one(index: int):
    def train(prepared: bool) -> int:
        return steps.train(index)

    return train


def evaluate(*indexes: int) -> bool:
    steps.evaluate(min(indexes))
    return True


names = [f"candidate_{index}" for index in steps.CANDIDATES]
loop = Pipeline(
    [
        node(prepare, None, "prepared", name="prepare"),
        *(
            node(train_one(index), "prepared", name, name=f"train_{index}")
            for index, name in enumerate(names)
        ),
        node(evaluate, names, "evaluated", name="evaluate"),
    ]
)

if __name__ == "__main__":
    ThreadRunner().run(loop, DataCatalog())
