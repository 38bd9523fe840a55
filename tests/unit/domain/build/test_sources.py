"""What a push says of its commit survives S3's metadata, and holds no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.build import sources
from sluice.domain.build.sources import Source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("https://github.com/acme/reviews.git", "https://github.com/acme/reviews.git"),
        ("https://me:ghp_secret@github.com/acme/reviews", "https://github.com/acme/reviews"),
        ("https://ghp_secret@github.com/acme/reviews", "https://github.com/acme/reviews"),
        ("https://x:p@ss@host:8443/r?token=secret#secret", "https://host:8443/r"),
        ("ssh://git:secret@host:22/r.git", "ssh://git@host:22/r.git"),
        ("git@github.com:acme/reviews.git", "git@github.com:acme/reviews.git"),
        ("/srv/git/reviews.git", "/srv/git/reviews.git"),
        ("file:///srv/git/reviews.git", "file:///srv/git/reviews.git"),
    ],
)
def test_a_remote_is_named_without_its_credentials(remote: str, kept: str) -> None:
    assert sources.without_credentials(remote) == kept


@pytest.mark.parametrize(
    "source",
    [
        Source(COMMIT, "main", "https://github.com/acme/reviews", is_clean=True),
        Source(COMMIT, None, None, is_clean=False),
        Source("a" * 64, "größer/ä&b=c", "git@host:r", is_clean=True),
        Source(problem="the folder is in no git repository"),
    ],
)
def test_a_source_is_read_as_it_was_written(source: Source) -> None:
    assert Source.decode(source.encode()) == source


@given(st.builds(Source, st.just(COMMIT), st.text(), st.text(), st.booleans()))
def test_whatever_a_branch_is_called_it_fits_into_metadata(source: Source) -> None:
    written = source.encode()
    assert written.isascii()
    assert "\n" not in written
    assert len(written) < 1700
    assert Source.decode(written).commit == COMMIT


@pytest.mark.parametrize("text", ["", "commit=main", "commit=%00", "nonsense", "commit=&problem="])
def test_what_no_push_wrote_names_no_commit(text: str) -> None:
    found = Source.decode(text)
    assert found.commit is None
    assert found.problem == "the push named no commit"


def test_a_remote_with_a_password_is_cleaned_whoever_sent_it() -> None:
    sent = f"commit={COMMIT}&remote=https%3A%2F%2Fa%3Asecret%40host%2Fr"
    assert Source.decode(sent).remote == "https://host/r"


def test_the_commit_of_files_that_were_pushed_before_they_were_committed_is_an_improvement() -> None:
    clean, dirty = Source(COMMIT, is_clean=True), Source(COMMIT, is_clean=False)
    assert sources.improves(clean, dirty.attributes)
    assert sources.improves(clean, {})
    assert not sources.improves(clean, clean.attributes)
    assert not sources.improves(dirty, {})
    assert sources.better(dirty, clean.attributes) == clean.attributes
    assert sources.better(clean, dirty.attributes) == clean.attributes


def test_a_source_is_told_in_a_few_words() -> None:
    told = sources.described(Source(COMMIT, "main", is_clean=True).attributes)
    assert told == "commit 0123456789ab on main"
    told = sources.described(Source(COMMIT, is_clean=False).attributes)
    assert told == "commit 0123456789ab with changes that are not committed"
    assert sources.described(Source(problem="git is not installed").attributes) == (
        "no git commit: git is not installed"
    )
    assert sources.described(None) == "no git commit: an older push recorded none"
