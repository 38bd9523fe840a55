"""A pattern that a contract may have is one that the engine takes, and the other way round."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.domain.config import patterns

# A random few of these are a pattern now and then.
PARTS = [*"ab|()[]^$*+?\\.-,:P<>1dwZzp=!i", "{2}", "{2,}", "{L}"]


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def is_taken(connection: duckdb.DuckDBPyConnection, pattern: str) -> bool:
    try:
        connection.execute("SELECT regexp_full_match('abc', ?)", [pattern])
    except duckdb.Error:
        return False
    return True


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "a|b|", "a+?", "a??", "a{2}?", "a{1000}", "a{,3}", "a{x}", "(?:a+)+", "[+*]+", r"[\]]", "[]a]"),
        *("(?i)abc", "(?i:a)", "(?P<year>a)", "[[:alpha:]]+", r"\p{L}+", r"[\p{L} ]+", r"\pN", r"\P{Greek}"),
        *(r"a\z", r"\\Z", r"\-", r"\_", r"\x41", r"\x{1F600}", "é+", r"[^@]+@[^@]+\.[a-z]{2,}", "^a$", r"\n"),
    ],
)
def test_what_the_engine_takes_is_no_problem(connection: duckdb.DuckDBPyConnection, pattern: str) -> None:
    assert is_taken(connection, pattern)
    assert patterns.problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        *("a++", "a*+", "a{2}+", "a**", "(?>a)", "a{2000}", "a{0,1001}", "(a)?(?(1)b|c)", "(?x)a", "(?#c)a"),
        *(
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?<n>a)",
            "(?P=n)",
            r"(a)\1",
            r"a\Z",
            r"\N{DIGIT}",
            r"\u0041",
        ),
        *(r"\q", r"[\b]", r"[\1]", r"\xZZ", r"\p", r"\p{", "[a-", "[z-a]", "(", "a)", "*a", "a{3,1}", "(?"),
    ],
)
def test_what_the_engine_does_not_take_is_a_problem(
    connection: duckdb.DuckDBPyConnection, pattern: str
) -> None:
    assert not is_taken(connection, pattern)
    assert patterns.problem(pattern)


@settings(max_examples=1000)
@given(pattern=st.lists(st.sampled_from(PARTS), max_size=6).map("".join))
def test_no_pattern_that_is_no_problem_is_refused_by_the_engine(
    connection: duckdb.DuckDBPyConnection, pattern: str
) -> None:
    assert patterns.problem(pattern) or is_taken(connection, pattern)
