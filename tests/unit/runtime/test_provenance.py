"""What metadata say: every source type, every usual generator, cameras, and nothing of people."""

from __future__ import annotations

import io
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from aiface_runtime import Classifier, Prediction
from aiface_runtime.errors import AifaceError, ImageDecodeError, ImageNotFoundError, ImageTooLargeError
from aiface_runtime.limits import Limits
from aiface_runtime.provenance import Claim, CredentialState, Finding, Provenance, read
from aiface_runtime.provenance.source_types import SOURCE_TYPES
from tests.support.metadata import exif, gif_with, jpeg_with, packet, picture, png_with, text, webp_with

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
A1111 = "a portrait\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512"
COMFY = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 20}}})


def said(data: bytes) -> list[tuple[Claim, str]]:
    return [(found.claim, found.where) for found in read(data).findings]


def only(data: bytes) -> Finding:
    findings = read(data).findings
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize("term", SOURCE_TYPES)
@pytest.mark.parametrize(
    "form",
    [
        'Iptc4xmpExt:DigitalSourceType="{}"',
        'iptcExt:DigitalSourceType="{}"',
        "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType>",
        '<Iptc4xmpExt:DigitalSourceType rdf:resource="{}"/>',
        "<x1:digitalSourceType><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></x1:digitalSourceType>",
    ],
)
def test_every_source_type_in_every_form(term: str, form: str) -> None:
    is_attribute = not form.startswith("<")
    for value in (IPTC + term, f"https{IPTC[4:]}{term.upper()}", f"digsrctype:{term}", f"{term}DigitalSource"):
        filled = form.format(value)
        made = packet(filled) if is_attribute else packet(children=filled)
        found = only(picture("JPEG", xmp=made))
        assert found.claim is SOURCE_TYPES[term][0]
        assert SOURCE_TYPES[term][1] in found.statement
        assert value in found.evidence
        assert found.where.startswith("XMP ")


def test_an_edit_is_no_fake_and_an_unknown_type_is_neither() -> None:
    claims = {term: claim for term, (claim, _) in SOURCE_TYPES.items()}
    assert [term for term, claim in claims.items() if claim is Claim.GENERATED] == [
        "trainedAlgorithmicMedia",
        "trainedAlgorithmicData",
    ]
    assert claims["compositeWithTrainedAlgorithmicMedia"] is claims["compositeSynthetic"] is Claim.EDITED_WITH_AI
    assert claims["algorithmicallyEnhanced"] is Claim.EDITED
    assert claims["digitalCapture"] is claims["computationalCapture"] is claims["negativeFilm"] is Claim.CAPTURED
    later = f'Iptc4xmpExt:DigitalSourceType="{IPTC}somethingNew"'
    assert only(picture("JPEG", xmp=packet(later))).claim is Claim.OTHER
    empty = 'Iptc4xmpExt:DigitalSourceType="http://c2pa.org/digitalsourcetype/empty"'
    assert said(picture("JPEG", xmp=packet(empty))) == []


GENERATED = packet(f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"')
GIF_XMP = b"\x21\xff\x0bXMP DataXMP" + GENERATED + bytes([1, *range(255, -1, -1), 0])
JP2_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + GENERATED


def _jpeg2000() -> bytes:
    data = picture("JPEG2000")
    return data[:12] + struct.pack(">I4s", 8 + len(JP2_XMP), b"uuid") + JP2_XMP + data[12:]


def _extended() -> bytes:
    """Standard XMP names the rest, which comes in two pieces, the second first."""
    middle, head = len(GENERATED) // 2, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
    pieces = [(middle, GENERATED[middle:]), (0, GENERATED[:middle])]
    more = [(0xE1, head + struct.pack(">II", len(GENERATED), offset) + piece) for offset, piece in pieces]
    return jpeg_with((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet()), *more)


def _tiff_xmp() -> bytes:
    return picture("TIFF", tiffinfo={700: GENERATED})


@pytest.mark.parametrize(
    "make",
    [
        lambda: picture("JPEG", xmp=GENERATED),
        _extended,
        lambda: picture("WEBP", xmp=GENERATED),
        lambda: png_with(text("iTXt", "XML:com.adobe.xmp", GENERATED.decode())),
        lambda: png_with(text("zTXt", "Raw profile type xmp", f"\nxmp\n {len(GENERATED)}\n{GENERATED.hex()}\n")),
        _tiff_xmp,
        lambda: gif_with(GIF_XMP),
        _jpeg2000,
        lambda: picture("AVIF", xmp=GENERATED),
        lambda: picture("HEIF", xmp=GENERATED),
    ],
    ids=["jpeg", "jpeg-extended", "webp", "png", "png-raw", "tiff", "gif", "jpeg2000", "avif", "heic"],
)
def test_xmp_is_found_in_every_format(make: object, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    if name == "heic":
        pytest.importorskip("pillow_heif")
    if name == "avif" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    assert said(make()) == [(Claim.GENERATED, "XMP Iptc4xmpExt:DigitalSourceType")]  # type: ignore[operator]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_xmp_in_other_encodings(encoding: str) -> None:
    made = GENERATED.decode().partition("?>")[2].encode(encoding)
    assert said(webp_with((b"XMP ", made))) == [(Claim.GENERATED, "XMP Iptc4xmpExt:DigitalSourceType")]


PNG_SETTINGS = [
    ("tEXt", "parameters", A1111, "AUTOMATIC1111"),
    ("zTXt", "parameters", A1111, "AUTOMATIC1111"),
    ("iTXt", "parameters", A1111.replace("a portrait", "ein Porträt 肖像"), "AUTOMATIC1111"),
    ("tEXt", "parameters", f"{A1111}, Version: f2.0.1v1.10.1", "AUTOMATIC1111"),  # Forge
    ("tEXt", "prompt", COMFY, "ComfyUI"),
    ("tEXt", "workflow", json.dumps({"last_node_id": 9, "nodes": [], "links": []}), "ComfyUI"),
    ("tEXt", "invokeai_metadata", json.dumps({"generation_mode": "txt2img", "seed": 1}), "InvokeAI"),
    ("tEXt", "sd-metadata", json.dumps({"model": "stable diffusion", "app_id": "invoke-ai/InvokeAI"}), "InvokeAI"),
    ("tEXt", "Dream", '"a portrait" -s 50 -S 5 -W 512 -H 512 -C 7.5 -A k_lms', "InvokeAI"),
    (
        "tEXt",
        "Comment",
        json.dumps({"prompt": "1girl", "steps": 28, "sampler": "k_euler", "signed_hash": "x"}),
        "NovelAI",
    ),
    ("tEXt", "parameters", f"{A1111}, Version: Fooocus v2.5.5", "Fooocus"),
    ("tEXt", "fooocus_scheme", "fooocus", "Fooocus"),
    ("tEXt", "parameters", json.dumps({"sui_image_params": {"prompt": "a portrait"}}), "SwarmUI"),
    ("tEXt", "Description", "a portrait --v 6.1 Job ID: 123e4567-e89b-12d3-a456-426614174000", "Midjourney"),
    ("tEXt", "use_stable_diffusion_model", "sd-v1-5", "Easy Diffusion"),
    ("tEXt", "generation_data", json.dumps({"models": []}), "Tensor.Art"),
    ("tEXt", "Comment", json.dumps({"prompt": "x", "seed": 1, "guidance_scale": 7}), "not named"),
]


@pytest.mark.parametrize(("kind", "keyword", "content", "program"), PNG_SETTINGS)
def test_settings_of_the_usual_generators(kind: str, keyword: str, content: str, program: str) -> None:
    found = only(png_with(text(kind, keyword, content)))
    assert found.claim is Claim.GENERATOR_SETTINGS
    assert f"({program}" in found.statement or program in found.statement
    assert found.where == f"PNG {kind} {keyword}"
    assert found.evidence.isprintable()
    assert len(found.evidence) < 260


DRAW_THINGS = json.dumps({"c": "a portrait", "sampler": "Euler A", "seed": 5, "seed_mode": "Scale Alike", "steps": 20})


def test_settings_in_place_of_a_png_s_text() -> None:
    little, big = (b"UNICODE\0" + A1111.encode(f"utf-16-{order}") for order in ("le", "be"))
    for comment in (little, big, b"ASCII\0\0\0" + A1111.encode(), b"UNICODE\0" + A1111.encode(), A1111.encode()):
        for kind in ("JPEG", "WEBP"):
            found = only(picture(kind, exif=exif({}, comment)))
            assert (found.claim, found.where) == (Claim.GENERATOR_SETTINGS, "EXIF UserComment")
            assert "Steps: 20, Sampler: Euler a" in found.evidence
    comfy = picture("WEBP", exif=exif({0x010F: f"workflow:{COMFY}", 0x0110: f"prompt:{COMFY}"}))
    assert [where for _, where in said(comfy)] == ["EXIF Make", "EXIF Model"]
    assert {claim for claim, _ in said(comfy)} == {Claim.GENERATOR_SETTINGS}
    escaped = DRAW_THINGS.replace('"', "&quot;")
    alternatives = f'<rdf:Alt><rdf:li xml:lang="x-default">{escaped}</rdf:li></rdf:Alt>'
    drawn = packet('xmp:CreatorTool="Draw Things"', f"<exif:UserComment>{alternatives}</exif:UserComment>")
    assert said(picture("JPEG", xmp=drawn)) == [
        (Claim.GENERATOR, "XMP xmp:CreatorTool"),
        (Claim.GENERATOR_SETTINGS, "XMP exif:UserComment"),
    ]
    assert said(jpeg_with((0xFE, A1111.encode()))) == [(Claim.GENERATOR_SETTINGS, "JPEG comment")]
    assert said(gif_with(b"\x21\xfe\x0fcreated by GIMP\0")) == []


@pytest.mark.parametrize(
    "name",
    [
        "NovelAI",
        "Midjourney 6",
        "DALL·E 3",
        "DALL-E",
        "OpenAI ChatGPT",
        "Adobe Firefly 1.0",
        "Stable Diffusion XL 4F9F",
    ],
)
def test_a_program_that_is_an_image_generator(name: str) -> None:
    found = only(png_with(text("iTXt", "Software", name)))
    assert (found.claim, found.evidence) == (Claim.GENERATOR, f'"{name}"')
    if name.isascii():  # Pillow writes no other EXIF
        assert only(picture("JPEG", exif=exif({0x0131: name}))).evidence == f'"{name}"'
        assert said(picture("JPEG", exif=exif({0x010F: name}))) == [(Claim.GENERATOR, "EXIF Make")]


@pytest.mark.parametrize("name", ["GIMP 2.10", "Adobe Photoshop 25.0", "Imagenomic", "Firefly 8S", "Picasa"])
def test_a_program_or_camera_that_is_none(name: str) -> None:
    assert said(picture("JPEG", exif=exif({0x0131: name}))) == [(Claim.SOFTWARE, "EXIF Software")]
    found = only(picture("JPEG", exif=exif({0x010F: "Canon", 0x0110: name})))
    assert (found.claim, found.evidence, found.where) == (Claim.CAMERA, f'"Canon", "{name}"', "EXIF Make, Model")


def test_tiff_files_say_what_exif_blocks_do() -> None:
    data = picture("TIFF", tiffinfo={271: "Canon", 272: "EOS", 305: "GIMP"})
    assert said(data) == [(Claim.CAMERA, "TIFF Make, Model"), (Claim.SOFTWARE, "TIFF Software")]


def _iim(number: int, value: str) -> bytes:
    block = b"\x1c\2" + bytes([number]) + struct.pack(">H", len(value)) + value.encode()
    return b"Photoshop 3.0\x008BIM\4\4\0\0" + struct.pack(">I", len(block)) + block + bytes(len(block) % 2)


def test_credits_of_google_in_iptc_and_xmp() -> None:
    for phrase, claim in (("Made with Google AI", Claim.GENERATED), ("Edited with Google AI", Claim.EDITED_WITH_AI)):
        found = only(jpeg_with((0xED, _iim(110, phrase))))
        assert (found.claim, found.evidence, found.where) == (claim, f'"{phrase}"', "IPTC 2:110 credit")
        found = only(picture("JPEG", xmp=packet(f'photoshop:Credit="Somebody / {phrase}"')))
        assert (found.claim, found.evidence, found.where) == (claim, f'"{phrase}"', "XMP photoshop:Credit")
    assert said(jpeg_with((0xED, _iim(110, "Somebody / Agency")))) == []


def test_the_systems_that_iptc_names() -> None:
    made = packet('Iptc4xmpExt:AISystemUsed="Some Model"')
    assert said(picture("JPEG", xmp=made)) == [(Claim.GENERATOR, "XMP Iptc4xmpExt:AISystemUsed")]


@pytest.mark.parametrize(("label", "claim"), [("1", Claim.GENERATED), ("2", Claim.OTHER), ("3", Claim.OTHER)])
def test_china_s_label(label: str, claim: Claim) -> None:
    content = json.dumps({"Label": label, "ContentProducer": "001", "ProduceID": "7"})
    inside = content.replace('"', "&quot;")
    xmp = packet(children=f'<TC260:AIGC xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">{inside}</TC260:AIGC>')
    assert said(picture("JPEG", xmp=xmp)) == [(claim, "XMP TC260:AIGC")]
    assert said(png_with(text("tEXt", "AIGC", content))) == [(claim, "PNG tEXt AIGC")]
    assert said(picture("JPEG", exif=exif({}, f'{{"AIGC": {content}}}'.encode()))) == [(claim, "EXIF UserComment")]


def test_people_and_positions_are_not_told() -> None:
    tags = {0x013B: "Jane Artist", 0x8298: "Jane Copyright", 0x010E: "Jane at home", 0x9C9D: b"J\0a\0n\0e\0\0\0"}
    block = Image.Exif()
    for tag, value in tags.items():
        block[tag] = value
    block.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    block.get_ifd(0x8769).update({0xA430: "Jane Owner", 0xA431: "serial-123"})
    names = "<dc:creator><rdf:Seq><rdf:li>Jane Creator</rdf:li></rdf:Seq></dc:creator>"
    data = picture("JPEG", exif=block.tobytes(), xmp=packet('photoshop:Credit="Jane Credit"', names))
    assert b"Jane Artist" in data
    answer = read(data)
    assert "Jane" not in json.dumps(answer.to_record())
    assert answer.findings == ()


def test_what_is_shown_takes_one_line_and_hides_nothing() -> None:
    prompt = "a\u202egnp.exe\u2066 \x1b[2J\n\r\t\0e" + "\u0301" * 500 + " Steps: 20, Sampler: Euler" + "x" * 10**6
    evidence = only(png_with(text("iTXt", "parameters", prompt))).evidence
    assert evidence.isprintable()
    assert "\\u202e" in evidence
    assert evidence.count("\u0301") == 2
    assert len(evidence) < 260
    assert "Steps: 20" in evidence


def test_every_kind_of_input_says_the_same(tmp_path: Path) -> None:
    data = png_with(text("tEXt", "parameters", A1111))
    path = tmp_path / "a\nphoto.png"
    path.write_bytes(data)
    expected = read(data)
    with path.open("rb") as file, Image.open(path) as opened:
        answers = [read(path), read(str(path)), read(bytearray(data)), read(file), read(opened)]
        opened.load()
    assert {answer.findings for answer in answers} == {expected.findings}
    assert answers[0].input == str(path)
    assert "\n" not in str(answers[0]).replace("\n  ", "")
    for pixels in (np.zeros((8, 8, 3), np.uint8), Image.new("RGB", (8, 8))):
        assert read(pixels).credentials.state is CredentialState.NOT_CHECKED


def test_a_file_that_cannot_be_read_has_the_usual_errors(tmp_path: Path) -> None:
    for source, error in (
        (tmp_path / "none.jpg", ImageNotFoundError),
        (b"no picture at all", ImageDecodeError),
        (b"", ImageDecodeError),
    ):
        with pytest.raises(error):
            read(source)
    with pytest.raises(ImageTooLargeError):
        read(picture("JPEG"), Limits(bytes=100))


def test_without_the_extra_for_heic_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_heif")
    data = picture("HEIF", xmp=GENERATED)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    answer = read(data)
    assert answer.credentials.state is CredentialState.ABSENT
    assert any("aiface[heic]" in note for note in answer.notes)


def test_a_record_is_json_and_comes_back() -> None:
    answer = read(png_with(text("tEXt", "parameters", A1111)))
    record = answer.to_record()
    assert json.loads(json.dumps(record)) == record
    assert Provenance.from_record(record) == answer
    assert set(record) == {"input", "credentials", "findings", "notes"}
    assert any("SynthID" in note and "cannot be checked here" in note for note in answer.notes)
    assert any("forged" in note for note in answer.notes)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(device="cpu", threads=1)


def test_an_answer_never_depends_on_what_the_file_says(classifier: Classifier, portrait: Path) -> None:
    """A photo that says that it is generated has the answer that it had."""
    plain, liar = portrait.read_bytes(), portrait.read_bytes()
    segment = b"http://ns.adobe.com/xap/1.0/\0" + GENERATED
    liar = plain[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(segment) + 2) + segment + plain[2:]
    bare, quiet, loud = (
        classifier.predict(plain),
        classifier.predict(plain, provenance=True),
        classifier.predict(liar, provenance=True),
    )
    assert quiet.provenance is not None
    assert loud.provenance is not None
    assert loud.provenance.findings[0].claim is Claim.GENERATED
    for answer in (quiet, loud):
        assert (answer.verdict, answer.p_ai, answer.scores) == (bare.verdict, bare.p_ai, bare.scores)
        assert (answer.face_probability, answer.warnings) == (bare.face_probability, bare.warnings)
    assert bare.provenance is None
    assert "provenance" not in bare.to_record()
    assert loud.to_record()["provenance"] == loud.provenance.to_record()


class _Once(io.BytesIO):
    """A file that can be read to its end once, as standard input."""

    name = "once"

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation("seek")


def test_the_bytes_are_read_once_and_many_answers_carry_their_own(classifier: Classifier) -> None:
    data = png_with(text("tEXt", "parameters", A1111))
    answer = classifier.predict(_Once(data), provenance=True)
    assert answer.provenance is not None
    assert answer.provenance.input == answer.input == "once"
    sources = [data, picture("JPEG"), b"broken", np.zeros((64, 64, 3), np.uint8)]
    answers = list(classifier.predict_many(sources, provenance=True))
    counts = [len(a.provenance.findings) if isinstance(a, Prediction) and a.provenance else None for a in answers]
    assert counts == [1, 0, None, 0]
    assert all(a.provenance is None for a in classifier.predict_many(sources[:2], on_error="raise"))


def test_an_isolated_decoder_reads_them_in_its_process(portrait: Path) -> None:
    data = png_with(text("tEXt", "parameters", A1111))
    with Classifier(device="cpu", threads=1, isolate=True) as isolated:
        answer = isolated.predict(data, provenance=True)
        assert answer.provenance == read(data)
        assert isolated.predict(portrait).provenance is None


def test_real_photos_are_read_without_an_error(shared_data: Path) -> None:
    photos = sorted(shared_data.rglob("*.jpg"))[::40] + sorted(shared_data.rglob("*.png"))[::40]
    assert len(photos) > 50
    states = set()
    for photo in photos:
        try:
            states.add(read(photo).credentials.state)
        except AifaceError as error:
            pytest.fail(f"{photo.name}: {error}")
    assert states == {CredentialState.ABSENT}
