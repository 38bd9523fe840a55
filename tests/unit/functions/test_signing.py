"""A stack with signing keys releases only what one of them signed, byte for byte, and says why it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import fakes
from release_world import PIPELINE, Invoke, World
from sluice.adapters.signatures import EllipticKeys
from sluice.domain.release import signatures

RUN = f"{PIPELINE}-00001"


class Key:
    """A person's key."""

    def __init__(self, curve: ec.EllipticCurve | None = None, algorithm: Any = None) -> None:
        self.private = ec.generate_private_key(curve or ec.SECP256R1())
        self.algorithm = algorithm or hashes.SHA256()
        public, form = self.private.public_key(), PublicFormat.SubjectPublicKeyInfo
        self.pem = public.public_bytes(Encoding.PEM, form)
        self.parameter = base64.b64encode(public.public_bytes(Encoding.DER, form)).decode()

    def sign(self, files: dict[str, str]) -> bytes:
        payload = signatures.statement("reviews/1", files)
        signature = self.private.sign(signatures.message(payload), ec.ECDSA(self.algorithm))
        return signatures.bundle(payload, signature, self.pem)


KEY = Key()


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    cloud.signatures = EllipticKeys((Key().parameter, KEY.parameter))
    return World(cloud, invoke)


def files(world: World) -> dict[str, str]:
    package = next(iter(world.cloud.registry.by_arn.values()))
    metadata = package["CustomerMetadataProperties"]
    manifest = json.loads(world.cloud.objects.read(metadata["sluice:manifest-uri"]))
    code = next(each["sha256"] for each in manifest["artifacts"] if each["name"] == "code")
    return {
        signatures.MODEL: metadata["sluice:model-sha256"],
        signatures.CODE: code,
        signatures.MANIFEST: metadata["sluice:manifest-sha256"],
    }


def put(world: World, content: bytes) -> None:
    world.cloud.objects.write(world.locations.signature(RUN), content)


def refusal(world: World, arn: str) -> str:
    """Approve the version; why its release was refused."""
    release_id = world.approve(arn)
    release = world.release(release_id)
    assert release["status"] == "refused", release
    assert world.live_version() is None
    return " ".join(release["reasons"])


@pytest.mark.parametrize(
    ("curve", "algorithm"),
    [
        (ec.SECP256R1(), hashes.SHA256()),
        (ec.SECP384R1(), hashes.SHA384()),
        (ec.SECP521R1(), hashes.SHA512()),
    ],
    ids=["P-256", "P-384", "P-521"],
)
def test_what_a_key_of_the_stack_signed_is_released(world: World, curve: Any, algorithm: Any) -> None:
    key = Key(curve, algorithm)
    world.cloud.signatures = EllipticKeys((KEY.parameter, key.parameter))
    arn = world.register(1)
    put(world, key.sign(files(world)))
    assert world.release(world.approve(arn))["status"] == "released"
    assert world.live_version() == 1


def test_what_nobody_signed_is_not_released_and_it_says_how_to_sign(world: World) -> None:
    said = refusal(world, world.register(1))
    assert "not signed" in said
    assert "sluice sign reviews/1 --key" in said


def test_a_stack_without_keys_asks_for_none(world: World) -> None:
    world.cloud.signatures = EllipticKeys(())
    assert world.release(world.approve(world.register(1)))["status"] == "released"


def test_another_key_is_none_of_the_stacks(world: World) -> None:
    arn = world.register(1)
    put(world, Key().sign(files(world)))
    assert "by no key of the stack" in refusal(world, arn)


@pytest.mark.parametrize("name", [signatures.MODEL, signatures.CODE, signatures.MANIFEST])
def test_a_signature_of_another_file_or_without_it_is_refused(world: World, name: str) -> None:
    arn = world.register(1)
    put(world, KEY.sign({**files(world), name: "0" * 64}))
    assert f"is of another {name}" in refusal(world, arn)
    world.decide(arn, "PendingManualApproval")
    world.tell_decision(arn, "PendingManualApproval")
    put(world, KEY.sign({file: sha256 for file, sha256 in files(world).items() if file != name}))
    assert f"does not cover {name}" in refusal(world, arn)


def test_a_byte_of_the_model_that_changed_after_it_was_signed_is_found(world: World) -> None:
    arn = world.register(1)
    put(world, KEY.sign(files(world)))
    bucket, _, key = world.uri(1, "model").removeprefix("s3://").partition("/")
    stored = world.cloud.objects.buckets[bucket][key][0]
    stored.data = stored.data[:-1] + b"x"
    assert "has changed since it was registered" in refusal(world, arn)


def envelope(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)
    return found


def with_signature(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        document = envelope(content)
        entry = document["dsseEnvelope"]["signatures"][0]
        entry["sig"] = base64.b64encode(change(base64.b64decode(entry["sig"]))).decode()
        return json.dumps(document).encode()

    return changed


def with_payload(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        document = envelope(content)
        payload = base64.b64decode(document["dsseEnvelope"]["payload"])
        document["dsseEnvelope"]["payload"] = base64.b64encode(change(payload)).decode()
        return json.dumps(document).encode()

    return changed


def without_signatures(content: bytes) -> bytes:
    document = envelope(content)
    document["dsseEnvelope"]["signatures"] = []
    return json.dumps(document).encode()


TAMPERED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a byte of the signature": (
        with_signature(lambda signature: signature[:-1] + bytes([signature[-1] ^ 1])),
        "by no key of the stack, or was changed",
    ),
    "no signature": (with_signature(lambda _: b""), "by no key of the stack"),
    "a byte of what was signed": (
        with_payload(lambda payload: payload.replace(b'"reviews/1"', b'"reviews/2"')),
        "by no key of the stack, or was changed",
    ),
    "a space more": (with_payload(lambda payload: payload + b" "), "by no key of the stack, or was changed"),
    "no JSON": (lambda _: b"model", "cannot be read"),
    "no bundle": (lambda _: b"[]", "cannot be read"),
    "no signatures": (without_signatures, "cannot be read"),
    "another type": (
        lambda content: content.replace(b"application/vnd.in-toto+json", b"application/json"),
        "of something else",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_signature_that_was_changed_is_refused_with_the_reason(world: World, what: str) -> None:
    arn = world.register(1)
    change, said = TAMPERED[what]
    put(world, change(KEY.sign(files(world))))
    assert said in refusal(world, arn)


def test_a_model_is_not_released_by_the_signature_of_another(world: World) -> None:
    first = world.register(1)
    signature = KEY.sign(files(world))
    put(world, signature)
    assert world.release(world.approve(first))["status"] == "released"
    second = world.register(2)
    world.cloud.objects.write(world.locations.signature(f"{PIPELINE}-00002"), signature)
    release = world.release(world.approve(second))
    assert release["status"] == "refused"
    assert "is of another" in " ".join(release["reasons"])


@pytest.mark.parametrize("parameter", ["bm8ga2V5", "no base64", "MCowBQYDK2VwAyEA" + "A" * 43 + "="])
def test_keys_that_cannot_be_used_release_nothing(world: World, parameter: str) -> None:
    arn = world.register(1)
    world.cloud.signatures = EllipticKeys((parameter,))
    put(world, KEY.sign(files(world)))
    assert "SigningPublicKeys cannot be used" in refusal(world, arn)


def test_a_rollback_goes_to_a_signed_version_alone(world: World) -> None:
    """Else an unsigned model could come to serve by an alarm."""
    world.cloud.signatures = EllipticKeys(())
    world.approve(world.register(1))
    world.later(hours=1)
    second = world.register(2)
    world.approve(second)
    world.later(hours=1)
    world.cloud.signatures = EllipticKeys((KEY.parameter,))
    world.decide(second, "Rejected")
    (rollback,) = world.tell_decision(second, "Rejected")["releases"]
    world.run_all()
    assert world.release(rollback)["status"] == "refused"
    assert "not signed" in " ".join(world.release(rollback)["reasons"])
    assert world.live_version() == 2
