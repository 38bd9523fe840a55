"""Of a failed script's log the last lines are kept, and the one that says why is found."""

from __future__ import annotations

import pytest

from sluice.domain.build import log_tails

BARE = "AlgorithmError: the script ended with exit code 1; its log says why"
TRACEBACK = [
    "loading",
    "Traceback (most recent call last):",
    '  File "train.py", line 3, in <module>',
    "    raise ValueError('C is None')",
    "ValueError: C is None",
]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], None),
        (["", "  "], None),
        (["one", "two", ""], "two"),
        (TRACEBACK, "ValueError: C is None"),
        ([*TRACEBACK, "bye"], "ValueError: C is None"),
        ([*TRACEBACK, *TRACEBACK[:-1], "sklearn.NotFittedError: x"], "sklearn.NotFittedError: x"),
        (["died", "2026-11-28 10:00:00,123 sagemaker-training-toolkit ERROR    Reporting"], "died"),
        (["Traceback (most recent call last):", "cut"], "cut"),
    ],
)
def test_the_line_that_says_why_is_found(lines: list[str], words: str | None) -> None:
    assert log_tails.last_words(lines) == words


def test_a_reason_without_words_gets_the_scripts_last_ones() -> None:
    said = "AlgorithmError: the script ended with exit code 1: ValueError: C is None"
    assert log_tails.told(BARE, TRACEBACK) == said
    assert log_tails.told(said, TRACEBACK) == said
    assert log_tails.told(BARE, []) == BARE
    assert log_tails.told("CapacityError: none left", TRACEBACK) == "CapacityError: none left"


def test_what_a_script_without_a_traceback_said_last_is_told_in_place_of_its_command() -> None:
    """The command differs between candidates, which fail alike."""
    wordless = (
        'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage ""\n'
        'Command "python train.py --alpha 1e-05", exit code: 1'
    )
    lines = ['  File "train.py", line 39', "    def main(:", "SyntaxError: invalid syntax"]
    told = log_tails.told(wordless, lines)
    assert told == "AlgorithmError: the script ended with exit code 1: SyntaxError: invalid syntax"
    assert log_tails.told(wordless, []) == wordless
    said = wordless.replace('""', '"Traceback: ValueError"')
    assert log_tails.told(said, lines) == said


@pytest.mark.parametrize(("code", "name"), [("139", "SIGSEGV"), ("-6", "SIGABRT"), ("143", "SIGTERM")])
def test_a_script_that_crashed_is_told_with_its_signal(code: str, name: str) -> None:
    """A crash in a library of C leaves neither a traceback nor a message."""
    wordless = (
        f'AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\nErrorMessage ""\n'
        f'Command "python train.py", exit code: {code}'
    )
    said = f"AlgorithmError: the script ended with exit code {code} ({name})"
    assert log_tails.told(wordless, []) == said
    assert log_tails.told(wordless, ["fitting"]) == f"{said}: fitting"
    assert log_tails.ended_with("3") == "the script ended with exit code 3"


def test_the_last_lines_are_kept_and_none_is_long() -> None:
    lines = log_tails.kept([*map(str, range(100)), "x" * 5000])
    assert (len(lines), lines[0], len(lines[-1])) == (20, "81", 400)
