"""What an unknown word may have meant is what a person would guess."""

from __future__ import annotations

import pytest

from sluice.domain.nearest import nearest

METRICS = ("auc", "accuracy", "accuracy_balanced", "average_precision", "f1", "precision", "recall")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        # What begins with the word comes before what has its letters, and the shortest first.
        ("acc", "accuracy"),
        ("ACC", "accuracy"),
        ("accuracy_b", "accuracy_balanced"),
        ("prec", "precision"),
        ("acurracy", "accuracy"),
        ("aucc", "auc"),
        ("recal", "recall"),
        # One letter begins too much, and nothing else is similar.
        ("a", None),
        ("", None),
        ("rmse", None),
    ],
)
def test_the_nearest_is_what_begins_with_the_word_or_else_what_is_similar(
    word: str, meant: str | None
) -> None:
    assert nearest(word, METRICS) == meant
