"""Write and read signatures of models in the format of OpenSSF Model Signing 1.0.

A signature is a Sigstore bundle: a DSSE envelope around an in-toto statement that lists files with their
sha256. `model_signing verify key` takes what is written here, and what `model_signing sign key` writes is
read. Cryptography is the caller's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sluice.lazy import dataclass

# How the files of a version are called in its signature: what serves, and the evidence of how it was made.
MODEL, CODE, MANIFEST = "model.tar.gz", "sourcedir.tar.gz", "manifest.json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"


class SignatureError(ValueError):
    """It is no signature of a model."""


class SigningKeyError(ValueError):
    """What a stack was given is no key that verifies signatures."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature: what was signed, byte for byte, and the files that it lists, with their sha256."""

    message: bytes
    signature: bytes
    files: Mapping[str, str]


def statement(name: str, files: Mapping[str, str]) -> bytes:
    """Return the statement to sign: a model of this name has these files, by their sha256."""
    resources = [{"name": file, "algorithm": "sha256", "digest": files[file]} for file in sorted(files)]
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
    document = {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": _root(resources)}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {"serialization": serialization, "resources": resources},
    }
    return json.dumps(document, indent=2).encode()


def message(payload: bytes) -> bytes:
    """Return the bytes that are signed for a statement: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def bundle(payload: bytes, signature: bytes, public_key_pem: bytes) -> bytes:
    """Return the file of a signature; it names the key that verifies it by its digest."""
    document = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(public_key_pem).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(document, indent=2).encode()


def read(content: bytes) -> Signed:
    """Read a signature's file; raises SignatureError. Nothing of it is true until it is verified."""
    try:
        envelope = json.loads(content)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        (entry,) = envelope["signatures"]
        signature = base64.b64decode(entry["sig"], validate=True)
        told = json.loads(payload)
        types = envelope["payloadType"], told["_type"], told["predicateType"]
        files = _files(told)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise SignatureError(f"it is no signature of a model: {type(error).__name__}: {error}") from None
    if types != (_PAYLOAD_TYPE, _STATEMENT_TYPE, _PREDICATE_TYPE):
        raise SignatureError(f"it is a signature of something else: {', '.join(map(str, types))}")
    return Signed(message(payload), signature, files)


def _files(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the sha256 by file; raises ValueError where a verifier could read two things in it."""
    resources = told["predicate"]["resources"]
    files = {str(each["name"]): str(each["digest"]) for each in resources if each["algorithm"] == "sha256"}
    if len(files) != len(resources):
        raise ValueError("files are listed twice, or by another digest than sha256")
    (subject,) = told["subject"]
    if subject["digest"]["sha256"] != _root(resources):
        raise ValueError("the digest of all files is another than that of the listed ones")
    return files


def _root(resources: list[dict[str, str]]) -> str:
    """Return the digest of all files' digests, in the order of the list."""
    return hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()


def faults(signed: Signed, wanted: Mapping[str, str]) -> list[str]:
    """Say which files of a version a verified signature does not cover as they are."""
    found = []
    for name, sha256 in wanted.items():
        listed = signed.files.get(name)
        if listed is None:
            found.append(f"the signature does not cover {name}")
        elif listed != sha256:
            found.append(
                f"the signature is of another {name}: its sha256 is {listed[:12]}, not {sha256[:12]}"
            )
    return found
