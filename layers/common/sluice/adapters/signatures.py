"""Adapter for signatures: verify them with the public keys that the stack was deployed with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.domain.release.signatures import SigningKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


class EllipticKeys:
    """Public keys on the curves P-256, P-384 and P-521, each as base64 of its SubjectPublicKeyInfo.

    The library is a layer of the one function that verifies, and loaded when there is something to verify.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    @property
    def are_demanded(self) -> bool:
        return bool(self._keys)

    def verify(self, message: bytes, signature: bytes) -> bool:
        return any(_is_by(_load(key), message, signature) for key in self._keys)


def _load(text: str) -> EllipticCurvePublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{text[:20]}... is no public key: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _hashes():
        raise SigningKeyError(f"{text[:20]}... is no key on one of the curves P-256, P-384 and P-521")
    return key


def _hashes() -> dict[str, str]:
    """Return the digest that Sigstore takes for each curve."""
    return {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


def _is_by(key: EllipticCurvePublicKey, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    algorithm = getattr(hashes, _hashes()[key.curve.name])()
    try:
        key.verify(signature, message, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True
