"""ZenML on its default local stack, without caching; its local orchestrator runs one step at a time."""

import steps
from zenml import pipeline, step


@step(enable_cache=False)
def prepare() -> bool:
    steps.prepare()
    return True


@step(enable_cache=False)
def train(index: int, prepared: bool) -> int:
    return steps.train(index)


@step(enable_cache=False)
def evaluate(index: int) -> None:
    steps.evaluate(index)


@pipeline(enable_cache=False)
def loop() -> None:
    prepared = prepare()
    trained = [train(index, prepared, id=f"train_{index}") for index in steps.CANDIDATES]
    evaluate(trained[0], after=[f"train_{index}" for index in steps.CANDIDATES])


if __name__ == "__main__":
    loop()
