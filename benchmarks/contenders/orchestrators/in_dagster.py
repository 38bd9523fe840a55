"""Dagster: a job by its default executor, a process for each step, candidates in parallel."""

import steps
from dagster import DagsterInstance, In, Nothing, Out, execute_job, job, op, reconstructable


@op(out=Out(Nothing))
def prepare() -> None:
    steps.prepare()


def train_one(index: int):
    @op(name=f"train_{index}", ins={"prepared": In(Nothing)})
    def train() -> int:
        return steps.train(index)

    return train


@op
def evaluate(indexes: list[int]) -> None:
    steps.evaluate(min(indexes))


@job
def loop() -> None:
    prepared = prepare()
    evaluate([train_one(index)(prepared) for index in steps.CANDIDATES])


if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        result = execute_job(reconstructable(loop), instance, raise_on_error=True)
        if not result.success:
            raise SystemExit(1)
