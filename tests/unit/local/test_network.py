"""This machine's settings of package indexes reach what installs packages, and nothing else of it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice_local import network


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any settings."""
    monkeypatch.setattr("os.environ", {"HOME": str(tmp_path), "SECRET": "x", "PATH": "/bin"})
    places = {name: (f"{tmp_path}/{name}",) for name in network._CONFIGURATIONS}
    monkeypatch.setattr(network, "_CONFIGURATIONS", places)


def test_proxies_and_settings_are_handed_on_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:8080")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    assert network.variables() == {
        "https_proxy": "http://proxy:8080",
        "PIP_INDEX_URL": "https://packages.example/simple",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def test_certificates_are_trusted_that_the_machine_names_and_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert network.trusted_certificates() is None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert network.trusted_certificates() is None
    (tmp_path / "gone.pem").touch()
    assert network.trusted_certificates() == tmp_path / "gone.pem"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_certificates_are_kept_for_what_starts_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    own, kept = tmp_path / "own.pem", tmp_path / "kept"
    monkeypatch.setenv(variable, str(own))
    assert network.keep_certificates(kept) == {}, "one that is not there is left as it is"
    own.write_text("this machine's")
    found = network.keep_certificates(kept)
    own.unlink()
    assert list(found) == [variable]
    assert Path(found[variable]).read_text() == "this machine's"
    monkeypatch.setenv(variable, found[variable])
    assert network.keep_certificates(kept) == found, "a cloud that a cloud starts may have the same folder"


def test_uv_gets_the_indexes_of_pip_unless_it_has_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    conf = (
        "[global]\nindex-url = https://packages.example/simple\nextra-index-url = file:///gone https://two/\n"
    )
    (tmp_path / "PIP_CONFIG_FILE").write_text(conf)
    found = network.variables_of_uv()
    assert (found["UV_DEFAULT_INDEX"], found["UV_INDEX"]) == (
        "https://packages.example/simple",
        "https://two/",
    )
    assert found["UV_CACHE_DIR"] == f"{tmp_path}/.cache/uv"
    monkeypatch.setenv("UV_INDEX_URL", "https://own.example/")
    assert "UV_DEFAULT_INDEX" not in network.variables_of_uv()


def test_settings_of_pip_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    (tmp_path / "PIP_CONFIG_FILE").write_text("index-url = https://packages.example/simple\n")
    assert "UV_DEFAULT_INDEX" not in network.variables_of_uv()
