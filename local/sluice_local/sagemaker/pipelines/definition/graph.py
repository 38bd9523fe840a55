"""What waits for what: by references, by DependsOn, and by the branches of conditions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from sluice_local.sagemaker.pipelines.definition import references
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.steps import Step

Graph = Mapping[str, frozenset[str]]


def graph_of(steps: Mapping[str, Step]) -> Graph:
    """Return the steps that each step waits for; raises DefinitionError if they wait in a circle."""
    graph = {name: frozenset(_awaited(step)) for name, step in steps.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " waits for ".join(reversed(error.args[1]))
        raise DefinitionError(f"The steps wait for each other in a circle: {circle}.") from error
    return graph


def _awaited(step: Step) -> Iterator[str]:
    yield from step.depends_on
    if step.branch:
        yield step.branch.condition
    for _, name, operand in references.found_in(step.told()):
        if name == references.GET and (reference := references.parse(operand)).root == "Steps":
            yield reference.name


def ready(
    steps: Mapping[str, Step],
    graph: Graph,
    begun: Collection[str],
    succeeded: Collection[str],
    outcomes: Mapping[str, bool],
) -> list[str]:
    """Return the steps that can begin now, in the definition's order.

    A step in a branch that was not taken never begins, nor does one that waits for it.
    """
    return [
        name
        for name, step in steps.items()
        if name not in begun
        and all(awaited in succeeded for awaited in graph[name])
        and (step.branch is None or outcomes.get(step.branch.condition) == step.branch.outcome)
    ]
