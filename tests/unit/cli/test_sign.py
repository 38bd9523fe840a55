"""`sluice sign` signs what its run registered and nothing else, and the release takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from typer.testing import CliRunner, Result

import fakes
from command_world import Stack
from release_world import PIPELINE, Invoke, World
from sluice.adapters.signatures import EllipticKeys
from sluice_cli import lookup, main, sign_commands, versions
from sluice_cli.errors import CommandError
from sluice_cli.options import Options

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def stack(cloud: fakes.Cloud, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack(cloud)
    monkeypatch.setattr(Options, "target", lambda _: stack)
    return stack


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> World:
    """A registered version."""
    world = World(cloud, invoke)
    arn = world.register(1)
    monkeypatch.setattr(lookup, "model_arn", lambda *_: arn)
    monkeypatch.setattr(versions, "own_package", lambda *_: type("Seen", (), {"pipeline": PIPELINE}))
    return world


def key(folder: Path, private: Private | None = None, passphrase: bytes | None = None) -> Path:
    made = private or ec.generate_private_key(ec.SECP256R1())
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path = folder / "key.pem"
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    return path


def call(path: Path, *more: str) -> Result:
    words = ["sign", "reviews/1", "--key", str(path), *more]
    return CliRunner().invoke(main.app, words, catch_exceptions=False)


def answer(path: Path) -> Any:
    result = call(path, "--json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_what_is_signed_is_released_by_a_stack_that_knows_the_key(world: World, tmp_path: Path) -> None:
    signed = answer(key(tmp_path))
    assert sorted(signed["files"]) == ["manifest.json", "model.tar.gz", "sourcedir.tar.gz"]
    world.cloud.signatures = EllipticKeys((signed["public_key"],))
    assert world.release(world.approve(signed["model_package_arn"]))["status"] == "released"


@pytest.mark.parametrize("name", ["model", "code", "manifest"])
def test_what_is_not_as_its_run_registered_it_is_not_signed(world: World, tmp_path: Path, name: str) -> None:
    bucket, _, place = world.uri(1, name).removeprefix("s3://").partition("/")
    stored = world.cloud.objects.buckets[bucket][place][0]
    stored.data = stored.data[:-1] + b"x"
    with pytest.raises(CommandError, match=r"it is not signed: .*has changed"):
        call(key(tmp_path))
    assert not [each for each in world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET] if "signatures/" in each]


def test_it_says_whether_the_stack_knows_the_key(world: World, stack: Stack, tmp_path: Path) -> None:
    path = key(tmp_path)
    signed = answer(path)
    assert signed["is_trusted"] is None
    assert f"SigningPublicKeys={signed['public_key']}" in call(path).stdout
    stack.outputs["SigningPublicKeys"] = f"another,{signed['public_key']}"
    assert answer(path)["is_trusted"] is True
    assert "`sluice approve reviews/1` releases it" in call(path).output
    stack.outputs["SigningPublicKeys"] = "another"
    said = call(path).output
    assert "does not know this key" in said
    assert f"SigningPublicKeys=another,{signed['public_key']}" in said
    assert "next: deploy the stack with these keys, or sign it with one that the stack knows" in said
    assert "approve" not in said


def test_a_key_with_a_passphrase_needs_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key(tmp_path, passphrase=b"secret")
    for given in (None, "wrong"):
        if given:
            monkeypatch.setenv(sign_commands.PASSPHRASE_VARIABLE, given)
        with pytest.raises(CommandError, match="cannot be used as a key"):
            call(path)
    monkeypatch.setenv(sign_commands.PASSPHRASE_VARIABLE, "secret")
    assert call(path).exit_code == 0


def test_a_key_of_another_kind_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="P-256"):
        call(key(tmp_path, rsa.generate_private_key(65537, 2048)))
    with pytest.raises(CommandError, match="P-256"):
        call(key(tmp_path, ec.generate_private_key(ec.SECP256K1())))
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(CommandError, match="cannot be used as a key"):
        call(tmp_path / "key.pem")
