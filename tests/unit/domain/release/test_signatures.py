"""Signatures are those of OpenSSF Model Signing: one that the library made is read and verified here."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from sluice.adapters.signatures import EllipticKeys
from sluice.domain.release import signatures
from sluice.domain.release.signatures import SignatureError

# Made by model-signing 1.1.1, `model_signing sign key m --private_key k.pem`, of the three files below.
KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDlOgtvZABS8SUpzvxaL3+xGTWK6aiEr32c3/zxqObbkP5RgLJiACkLvIstDXpbs3LHmHtIIu"
    "z5z8XutzX1vVkQ=="
)
FILES = {
    "model.tar.gz": b"model of reviews-00001",
    "sourcedir.tar.gz": b"code of reviews-00001",
    "manifest.json": b"{}",
}
SIGNATURE = "MEUCIQD6qgH+VS1zXKW+AGnyTkSPX+2utjtGa5oS8eJBG1hjzgIgN4yk/nl9nq48oNEHyyP+a9+jANocSv2/qpb64OkA6Ts="
STATEMENT = """{
  "_type": "https://in-toto.io/Statement/v1",
  "subject": [
    {
      "name": "m",
      "digest": {
        "sha256": "c07f46873b321e4c94948b048fc63ec277c4657272f1fc19e8d74a14c4edc30c"
      }
    }
  ],
  "predicateType": "https://model_signing/signature/v1.0",
  "predicate": {
    "serialization": {
      "method": "files",
      "hash_type": "sha256",
      "allow_symlinks": false,
      "ignore_paths": [
        ".gitignore",
        ".gitattributes",
        ".github",
        ".git"
      ]
    },
    "resources": [
      {
        "algorithm": "sha256",
        "name": "manifest.json",
        "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
      },
      {
        "algorithm": "sha256",
        "name": "model.tar.gz",
        "digest": "3adeb3ae9d2ab460cf847d1bd2c185369484964d494a1d6e4fb7f7a9b953376b"
      },
      {
        "algorithm": "sha256",
        "name": "sourcedir.tar.gz",
        "digest": "b5df11bd24ce71513cadefac7328d50aa1994ba5f24667ec696c175a0ea436c3"
      }
    ]
  }
}"""


def of_the_library(statement: str = STATEMENT) -> bytes:
    return signatures.bundle(statement.encode(), base64.b64decode(SIGNATURE), b"")


def wanted() -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def test_a_signature_that_the_library_made_is_verified() -> None:
    signed = signatures.read(of_the_library())
    assert EllipticKeys((KEY,)).verify(signed.message, signed.signature)
    assert signatures.faults(signed, wanted()) == []


def test_what_is_signed_here_says_the_same_of_the_same_files() -> None:
    ours, theirs = json.loads(signatures.statement("m", wanted())), json.loads(STATEMENT)
    # Nothing of the three files is left out by its name.
    assert ours["predicate"]["serialization"].pop("ignore_paths") == []
    del theirs["predicate"]["serialization"]["ignore_paths"]
    assert ours == theirs


def resources(document: dict[str, Any]) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = document["predicate"]["resources"]
    return listed


@pytest.mark.parametrize("what", ["twice", "sha1", "root", "subjects", "digest"])
def test_what_could_be_read_in_two_ways_is_no_signature(what: str) -> None:
    document = json.loads(STATEMENT)
    if what == "twice":
        resources(document).append({**resources(document)[1], "digest": "0" * 64})
    elif what == "sha1":
        resources(document)[0]["algorithm"] = "sha1"
    elif what == "root":
        resources(document)[0]["digest"] = "0" * 64
    elif what == "subjects":
        document["subject"] *= 2
    else:
        resources(document)[0]["digest"] = "no hex"
    with pytest.raises(SignatureError):
        signatures.read(of_the_library(json.dumps(document)))
