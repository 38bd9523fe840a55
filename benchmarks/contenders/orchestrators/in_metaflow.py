"""Metaflow, its local runtime: a process for each task, candidates in parallel."""

from metaflow import FlowSpec, step
from steps import CANDIDATES, evaluate, prepare, train


class Loop(FlowSpec):
    @step
    def start(self):
        prepare()
        self.candidates = list(CANDIDATES)
        self.next(self.train, foreach="candidates")

    @step
    def train(self):
        self.trained = train(self.input)
        self.next(self.choose)

    @step
    def choose(self, inputs):
        self.trained = min(found.trained for found in inputs)
        self.next(self.evaluate)

    @step
    def evaluate(self):
        evaluate(self.trained)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Loop()
