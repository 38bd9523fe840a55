"""This machine's settings of package indexes and proxies, for whatever installs packages here."""

from __future__ import annotations

import configparser
import os
import re
import shutil
from pathlib import Path

_CONFIGURATIONS = {
    "PIP_CONFIG_FILE": (
        "~/.config/pip/pip.conf",
        "~/.pip/pip.conf",
        "~/Library/Application Support/pip/pip.conf",
        "/etc/pip.conf",
    ),
    "UV_CONFIG_FILE": ("~/.config/uv/uv.toml", "/etc/uv/uv.toml"),
}
_VARIABLE = re.compile(
    r"(PIP|UV)_\w+|(HTTP|HTTPS|NO)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.IGNORECASE
)
# Variables that name a file of certificates.
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
# What pip and uv call alike.
_INDEXES = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX"}
_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")


def variables() -> dict[str, str]:
    """Return the settings as variables. Containers and functions get no other part of our environment."""
    found = {name: value for name, value in os.environ.items() if _VARIABLE.fullmatch(name)}
    # pip and uv would look in the user's home, which a container's is not.
    for name, places in _CONFIGURATIONS.items():
        files = [path for place in places if (path := Path(place).expanduser()).is_file()]
        if files:
            found.setdefault(name, str(files[0]))
    for name in ("NO_PROXY", "no_proxy"):  # the local cloud is never behind a proxy
        found[name] = ",".join(filter(None, (found.get(name), "127.0.0.1", "localhost")))
    return found


def keep_certificates(folder: Path) -> dict[str, str]:
    """Copy the files of certificates that variables name; returns the variables, which name the copies.

    The files may be gone while the local cloud runs, and functions and containers start all the time.
    """
    kept: dict[str, str] = {}
    for variable in _CERTIFICATES:
        named = os.environ.get(variable)
        if named and Path(named).is_file():
            copy = folder / variable.lower() / Path(named).name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if copy.resolve() != Path(named).resolve():
                shutil.copyfile(named, copy)
            kept[variable] = str(copy)
    return kept


def trusted_certificates() -> Path | None:
    """Return this machine's own list of the certificates that it trusts, if its variables name one."""
    named = os.environ.get("SSL_CERT_FILE")
    return Path(named).absolute() if named and Path(named).is_file() else None


def variables_of_uv() -> dict[str, str]:
    """Return the settings for uv, which reads none of pip's: without an index of its own it gets pip's."""
    found = variables()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    found.setdefault("UV_CACHE_DIR", str(Path(cache, "uv").expanduser()))
    if not any(name in found for name in _OF_UV):
        for name, own in _INDEXES.items():
            said = found.get(name) or _in_pip_conf(found.get("PIP_CONFIG_FILE"), name) or ""
            # pip overlooks folders that do not exist, and uv does not.
            if served := [url for url in said.split() if url.startswith("http")]:
                found[own] = " ".join(served)
    return found


def _in_pip_conf(path: str | None, variable: str) -> str | None:
    """Return what pip.conf says of a variable."""
    conf = configparser.RawConfigParser()
    try:
        conf.read(path or ())
        return conf.get("global", variable.removeprefix("PIP_").lower().replace("_", "-"), fallback=None)
    except configparser.Error:
        return None
