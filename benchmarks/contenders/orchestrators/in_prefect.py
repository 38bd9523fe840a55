"""Prefect: a flow with the server that it starts for itself, candidates in parallel."""

import steps
from prefect import flow, task


@task
def prepare() -> None:
    steps.prepare()


@task
def train(index: int) -> int:
    return steps.train(index)


@task
def evaluate(index: int) -> None:
    steps.evaluate(index)


@flow
def loop() -> None:
    prepare()
    trained = [found.result() for found in train.map(list(steps.CANDIDATES))]
    evaluate(trained[0])


if __name__ == "__main__":
    loop()
