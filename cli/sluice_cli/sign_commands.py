"""`sluice sign`: sign a model with a key of yours, in the format of OpenSSF Model Signing."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.domain.locations import Locations
from sluice.domain.release import signatures
from sluice.domain.release.errors import NotRegisteredYetError, ReleaseRefusedError
from sluice.services.release import model_packages, signing
from sluice_cli import lookup, versions
from sluice_cli.errors import EXIT_REJECTED, EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import err, escape, hint, out
from sluice_cli.paths import a_file
from sluice_cli.release_commands import MODEL_HELP
from sluice_cli.target import Target

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

sign_app = typer.Typer()
PASSPHRASE_VARIABLE = "SLUICE_KEY_PASSPHRASE"  # noqa: S105 - a name
_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


@sign_app.command(epilog=example("sluice sign reviews-sentiment/2 --key release-key.pem"))
def sign(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    key: Annotated[
        Path,
        typer.Option(help=f"A private EC key (PEM); its passphrase is taken from {PASSPHRASE_VARIABLE}."),
    ],
    as_json: Json = False,
) -> None:
    """Sign a model: its archive, the code that serves it and its run manifest.

    Reads all three first, and refuses to sign what is not as its run registered it. A stack that was deployed
    with SigningPublicKeys releases only what one of these keys signed. Exits with 3 if something has changed.
    """
    private = _load(a_file(key))
    target = context.obj.target()
    arn = lookup.model_arn(target, model)
    pipeline = str(versions.own_package(target, arn).pipeline)
    with err.status("reading what is signed"):
        package, files = _read(target, pipeline, arn)
    public_pem, public_der = _public(private)
    payload = signatures.statement(package.name, files)
    signature = _sign(private, signatures.message(payload))
    run_id = package.provenance.run_id
    uri = Locations(target.cloud.artifact_bucket, pipeline).signature(run_id)
    target.cloud.objects.write(uri, signatures.bundle(payload, signature, public_pem), "application/json")
    trusted = [each for each in target.outputs.get("SigningPublicKeys", "").split(",") if each]
    result = {
        "model_package_arn": arn,
        "signature_uri": uri,
        "public_key": public_der,
        "files": files,
        "is_trusted": public_der in trusted if trusted else None,
    }
    show(result, as_json, lambda: _print_signed(model, result, trusted))


def _read(target: Target, pipeline: str, arn: str) -> tuple[model_packages.Package, dict[str, str]]:
    """Return the version and the digests of its files, read anew; raises CommandError if one has changed."""
    try:
        package = model_packages.find_package(target.cloud, pipeline, arn)
        found = model_packages.find_evidence(target.cloud, package)
        faults = model_packages.evidence_faults(target.cloud, package)
    except (ReleaseRefusedError, NotRegisteredYetError) as error:
        raise CommandError(f"it is not signed: {error}", exit_code=EXIT_REJECTED) from None
    if faults:
        raise CommandError("it is not signed: " + "; ".join(faults), exit_code=EXIT_REJECTED)
    return package, signing.files(found, package.provenance.manifest_sha256)


def _load(path: Path) -> EllipticCurvePrivateKey:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise CommandError(
            "signing needs the package `cryptography`",
            hint="Install it beside sluice: `pip install 'cryptography>=50'`.",
        ) from None
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    try:
        key = serialization.load_pem_private_key(
            path.read_bytes(), passphrase.encode() if passphrase else None
        )
    except (TypeError, ValueError) as error:
        raise CommandError(
            f"{path} cannot be used as a key: {error}",
            hint="Make one: openssl ecparam -name prime256v1 -genkey -noout -out release-key.pem",
            exit_code=EXIT_USAGE,
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise CommandError(
            f"{path} is no key on one of the curves P-256, P-384 and P-521", exit_code=EXIT_USAGE
        )
    return key


def _public(private: EllipticCurvePrivateKey) -> tuple[bytes, str]:
    """Return the public key as PEM, and as the stack's parameter takes it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public, form = private.public_key(), PublicFormat.SubjectPublicKeyInfo
    der = base64.b64encode(public.public_bytes(Encoding.DER, form)).decode()
    return public.public_bytes(Encoding.PEM, form), der


def _sign(private: EllipticCurvePrivateKey, message: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return private.sign(message, ec.ECDSA(getattr(hashes, _HASHES[private.curve.name])()))


def _print_signed(model: str, result: dict[str, Any], trusted: list[str]) -> None:
    out.print("[green]signed[/]", escape(f"{', '.join(result['files'])} of {model}"))
    out.print(escape(result["signature_uri"]), soft_wrap=True)
    if result["is_trusted"] is None:
        out.print("the stack demands no signatures; to have it demand this key's, deploy it with")
    elif not result["is_trusted"]:
        out.print(
            "[red]the stack does not know this key[/]: it releases nothing that it signed; deploy it with"
        )
    if not result["is_trusted"]:
        keys = ",".join([*trusted, result["public_key"]])
        out.print(escape(f"SigningPublicKeys={keys}"), soft_wrap=True)
    if result["is_trusted"] is False:
        hint("next: deploy the stack with these keys, or sign it with one that the stack knows")
    else:
        hint(f"next: `sluice approve {model}` releases it")
