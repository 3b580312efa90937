"""Pictures with Content Credentials, signed by the official library with certificates made for the occasion."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

c2pa = pytest.importorskip("c2pa", reason="c2pa-python signs the pictures of these tests")
pytest.importorskip("cryptography", reason="cryptography makes their certificates")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

_CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
_EMAIL = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4")
_INGREDIENT = "ingredient-1"
OPENED = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_INGREDIENT]}}
PLACED = {"action": "c2pa.placed", "parameters": {"ingredientIds": [_INGREDIENT]}}
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True)
class Signer:
    """A signer with an authority of its own.

    Attributes:
        anchor: Certificate of the authority, in PEM.
        certificates: Certificates of signer and authority, in PEM.
        key: Key of the signer, in PEM.
    """

    anchor: str
    certificates: str
    key: str

    def sign(
        self,
        data: bytes,
        media_type: str,
        actions: Sequence[Mapping[str, Any]] = (),
        ingredients: Sequence[tuple[str, bytes]] = (),
        *,
        remote: str | None = None,
        assertions: Sequence[Mapping[str, Any]] = (),
    ) -> bytes:
        """Return a picture with credentials; those of ingredients, given with their relation, are taken over."""
        info = c2pa.C2paSignerInfo(
            alg=b"es256", sign_cert=self.certificates.encode(), private_key=self.key.encode(), ta_url=None
        )
        action_list = list(actions) or [
            {"action": "c2pa.created", "digitalSourceType": f"{IPTC}trainedAlgorithmicMedia"}
        ]
        document = {
            "claim_generator_info": [{"name": "aiface tests", "version": "1.0"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": action_list}}, *assertions],
        }
        builder = c2pa.Builder(json.dumps(document))
        for relation, ingredient in ingredients:
            described = json.dumps({"title": "ingredient", "relationship": relation, "label": _INGREDIENT})
            builder.add_ingredient(described, media_type, io.BytesIO(ingredient))
        if remote is not None:
            builder.set_no_embed()
            builder.set_remote_url(remote)
        target = io.BytesIO()
        builder.sign(c2pa.Signer.from_info(info), media_type, io.BytesIO(data), target)
        return target.getvalue()


def make_signer(name: str = "Test Signer", *, seconds: int = 30 * 86_400) -> Signer:
    """Make an authority, and a certificate of it that is valid for so long."""
    now = datetime.now(UTC)
    authority, authority_key = _certificate(f"{name} Authority", now + timedelta(days=60))
    certificate, key = _certificate(name, now + timedelta(seconds=seconds), (authority, authority_key))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Signer(_pem(authority), _pem(certificate) + _pem(authority), private.decode())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(
    name: str, end: datetime, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    signing_key = issuer[1] if issuer else key
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, f"{name} Organisation"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=issuer is not None,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issuer is None,
        crl_sign=issuer is None,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=60))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if issuer:
        builder = builder.add_extension(x509.ExtendedKeyUsage([_CLAIM_SIGNING, _EMAIL]), critical=False)
    return builder.sign(signing_key, hashes.SHA256()), key
