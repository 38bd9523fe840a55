"""The query language of a state."""

from __future__ import annotations

from sluice_local.states.jsonata import Evaluate, Jsonata
from sluice_local.states.jsonpath import JsonPath
from sluice_local.states.outside import Context, State

Language = JsonPath | Jsonata


def language_of(state: State, context: Context, evaluate: Evaluate) -> Language:
    """Return the state's own, else its machine's."""
    name = state.get("QueryLanguage") or context.get("QueryLanguage")
    return Jsonata(state, context, evaluate) if name == "JSONata" else JsonPath(state, context)
