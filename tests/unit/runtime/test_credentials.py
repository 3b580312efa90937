"""Content Credentials, signed by the official library: trusted, untrusted, tampered, stripped, and told apart."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from aiface_runtime.errors import UsageError
from aiface_runtime.provenance import Claim, CredentialState, read
from tests.support.metadata import jpeg_with, picture

signing = pytest.importorskip("tests.support.signing")
pytest.importorskip("encypher_c2pa")
IPTC, OPENED, PLACED = signing.IPTC, signing.OPENED, signing.PLACED
FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
CREATED = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}


@pytest.fixture(scope="module")
def signer() -> signing.Signer:
    return signing.make_signer()


@pytest.fixture(scope="module")
def trust(signer: signing.Signer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / "anchors.pem"
    path.write_text(signer.anchor)
    return path


@pytest.fixture(scope="module")
def signed(signer: signing.Signer) -> bytes:
    return bytes(signer.sign(picture("JPEG"), "image/jpeg"))


@pytest.mark.parametrize("kind", FORMATS)
def test_intact_is_one_question_and_trusted_another(kind: str, signer: signing.Signer, trust: Path) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    data = signer.sign(picture(kind), FORMATS[kind])
    trusted, untrusted = read(data, trust=trust), read(data)
    assert trusted.credentials.state is CredentialState.TRUSTED
    assert untrusted.credentials.state is CredentialState.UNTRUSTED
    assert untrusted.credentials.reason
    assert "trust list" in untrusted.credentials.reason
    for answer in (trusted, untrusted):
        assert answer.credentials.issuer == "Test Signer, certified by Test Signer Authority Organisation"
        assert answer.credentials.claim_generator == "aiface tests 1.0"
        assert answer.credentials.actions == ("c2pa.created",)
        assert [(found.claim, found.where) for found in answer.findings] == [
            (Claim.GENERATED, "C2PA c2pa.created digitalSourceType")
        ]
    assert any("in any name" in note for note in untrusted.notes)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_changed_byte_breaks_them_and_what_they_say_is_left_out(
    kind: str, signer: signing.Signer, trust: Path
) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    data = bytearray(signer.sign(picture(kind), FORMATS[kind]))
    data[-5 if kind == "JPEG" else -20] ^= 1
    answer = read(bytes(data), trust=trust)
    assert answer.credentials.state is CredentialState.BROKEN
    assert answer.credentials.reason
    assert "changed after it was signed" in answer.credentials.reason
    assert (answer.credentials.issuer, answer.credentials.actions, answer.findings) == (None, (), ())


def test_a_changed_statement_breaks_them(signed: bytes, trust: Path) -> None:
    changed = signed.replace(b"aiface tests", b"aiface tesst")
    assert changed != signed
    assert read(changed, trust=trust).credentials.state is CredentialState.BROKEN


def test_credentials_of_another_picture_are_broken(signed: bytes, trust: Path) -> None:
    """The segments that hold them, copied into another JPEG."""
    start = signed.index(b"\xff\xeb")
    end = signed.rindex(b"\xff\xdb", 0, signed.rindex(b"\xff\xda"))
    other = jpeg_with()
    copied = other[:20] + signed[start:end] + other[20:]
    assert read(copied, trust=trust).credentials.state is CredentialState.BROKEN


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_cut_short_is_broken(kind: str, signer: signing.Signer) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    data = signer.sign(picture(kind), FORMATS[kind])
    states = {read(data[: len(data) * share // 10]).credentials.state for share in (7, 8, 9)}
    assert states <= {CredentialState.BROKEN, CredentialState.ABSENT}
    assert CredentialState.BROKEN in states


def test_a_certificate_that_ran_out_is_another_thing_than_a_change(tmp_path: Path) -> None:
    """Many cameras sign without a time stamp, which would prove when their certificate was used."""
    brief = signing.make_signer(seconds=3)
    data, anchors = brief.sign(picture("JPEG"), "image/jpeg"), tmp_path / "anchors.pem"
    anchors.write_text(brief.anchor)
    time.sleep(4)
    credentials = read(data, trust=anchors).credentials
    assert credentials.state is CredentialState.UNTRUSTED
    assert credentials.reason
    assert "no longer valid" in credentials.reason


def test_saved_anew_they_are_absent(signed: bytes) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(signed)).save(buffer, "JPEG")
    answer = read(buffer.getvalue())
    assert (answer.credentials.state, answer.findings) == (CredentialState.ABSENT, ())
    assert any("Absence proves nothing" in note for note in answer.notes)


def test_an_earlier_version_and_a_part_are_told_apart_from_the_picture(
    signer: signing.Signer, signed: bytes, trust: Path
) -> None:
    photo = picture("JPEG")
    edited = read(signer.sign(photo, "image/jpeg", [OPENED], [("parentOf", signed)]), trust=trust)
    assert [(found.claim, found.where) for found in edited.findings] == [
        (Claim.GENERATED, "C2PA ingredient (parentOf) c2pa.created digitalSourceType")
    ]
    assert "an earlier version" in edited.findings[0].statement
    composed = read(signer.sign(photo, "image/jpeg", [CREATED, PLACED], [("componentOf", signed)]), trust=trust)
    assert [found.claim for found in composed.findings] == [Claim.EDITED_WITH_AI, Claim.CAPTURED]
    assert "a part" in composed.findings[0].statement
    again = signer.sign(
        photo,
        "image/jpeg",
        [OPENED],
        [("parentOf", signer.sign(photo, "image/jpeg", [OPENED], [("parentOf", signed)]))],
    )
    assert [found.claim for found in read(again).findings] == [Claim.GENERATED]


def test_an_earlier_version_that_was_broken_says_nothing(signer: signing.Signer, signed: bytes) -> None:
    tampered = signed[:-5] + bytes([signed[-5] ^ 1]) + signed[-4:]
    answer = read(signer.sign(picture("JPEG"), "image/jpeg", [OPENED], [("parentOf", tampered)]))
    assert answer.credentials.state is CredentialState.UNTRUSTED
    assert [found.claim for found in answer.findings] == [Claim.OTHER]
    assert "were broken" in answer.findings[0].statement


def test_an_edit_with_a_model_is_no_generated_picture(signer: signing.Signer) -> None:
    action = {
        "action": "c2pa.edited",
        "digitalSourceType": f"{IPTC}compositeWithTrainedAlgorithmicMedia",
        "softwareAgent": {"name": "Adobe Firefly"},
    }
    answer = read(signer.sign(picture("JPEG"), "image/jpeg", [CREATED, action]))
    claims = [found.claim for found in answer.findings]
    assert claims == [Claim.EDITED_WITH_AI, Claim.CAPTURED, Claim.GENERATOR]
    assert answer.findings[2].evidence == '"Adobe Firefly"'


def test_metadata_that_are_signed_count_too(signer: signing.Signer) -> None:
    namespaces = {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"}
    data = {"@context": namespaces, "Iptc4xmpExt:DigitalSourceType": f"{IPTC}compositeSynthetic"}
    assertion = {"label": "c2pa.metadata", "data": data, "kind": "Json"}
    answer = read(signer.sign(picture("JPEG"), "image/jpeg", [CREATED], assertions=[assertion]))
    assert [(found.claim, found.where) for found in answer.findings] == [
        (Claim.EDITED_WITH_AI, "C2PA c2pa.metadata Iptc4xmpExt:DigitalSourceType"),
        (Claim.CAPTURED, "C2PA c2pa.created digitalSourceType"),
    ]


def test_credentials_elsewhere_are_named_and_not_fetched(signer: signing.Signer) -> None:
    """An address that would be answered here if it were asked."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        answer = read(signer.sign(picture("JPEG"), "image/jpeg", remote=address))
        with pytest.raises(TimeoutError):
            server.accept()
    assert answer.credentials.state is CredentialState.NOT_CHECKED
    assert answer.credentials.reason
    assert address in answer.credentials.reason


def test_those_that_could_take_gigabytes_are_not_checked(signed: bytes) -> None:
    start = signed.index(b"jumdc2pa") - 12
    for length in (b"\0\x90\0\0", b"\0\0\0\0", b"\0\0\0\1"):  # 9 MiB, to the end of the file, in 64 bits
        answer = read(signed[:start] + length + signed[start + 4 :])
        expected = CredentialState.BROKEN if length == b"\0\0\0\1" else CredentialState.NOT_CHECKED
        assert answer.credentials.state is expected
    for made in (signed.replace(b"jumdc2ma", b"jumdc2cm"), signed + signed[start : start + 60] * 20):
        answer = read(made)
        assert answer.credentials.state is CredentialState.NOT_CHECKED
        assert answer.credentials.reason


def test_without_the_extra_they_are_not_checked(signed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "encypher_c2pa", None)  # as if it were not installed
    answer = read(signed)
    assert answer.credentials.state is CredentialState.NOT_CHECKED
    assert answer.credentials.reason
    assert 'pip install "aiface[c2pa]"' in answer.credentials.reason
    assert read(picture("JPEG")).credentials.state is CredentialState.ABSENT  # which needs no library to be seen


def test_a_trust_file_that_is_none_is_wrong_usage(signed: bytes, tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        path = tmp_path / "trust.pem"
        path.write_bytes(content)
        with pytest.raises(UsageError, match="trust"):
            read(signed, trust=path)
    with pytest.raises(UsageError, match="no-such"):
        read(signed, trust=tmp_path / "no-such.pem")
