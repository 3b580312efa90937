"""The service's records are the command's, whatever way a photo comes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import aiface
from tests.support.service import Service

from .conftest import picture

pytest.importorskip("prometheus_client", reason="the extra serve is not installed: `make test` has it in .venv/serve")


def by_command(folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(aiface("predict", *names, "--format", "json", cwd=folder).stdout)
    return records


def by_service(service: Service, folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    files = [("photo", (name, folder.joinpath(name).read_bytes())) for name in names]
    response = service.post(files=files)
    assert response.status_code == 200
    records: list[dict[str, Any]] = response.json()["records"]
    return records


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Let numbers differ by what another batch may change on some processors."""
    numbers = {name: pytest.approx(record[name], abs=1e-6) for name in ("p_ai", "face_probability", "scores")}
    return record | {name: value for name, value in numbers.items() if record[name] is not None}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for number, kind in enumerate(("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG")):
        size = (30, 40) if number == 6 else (200 + 90 * number, 260)
        folder.joinpath(f"{number}.{kind.lower()}").write_bytes(picture(number, *size, kind))
    folder.joinpath("none.jpg").write_bytes(b"no photo")
    folder.joinpath("cut.jpg").write_bytes(picture(1)[:-300])
    folder.joinpath("wide.png").write_bytes(picture(2, 6000, 30, "PNG"))
    return folder


def test_a_form_gives_the_records_of_the_command(service: Service, made: Path) -> None:
    names = sorted(path.name for path in made.iterdir())
    records = by_service(service, made, names)
    assert records == [comparable(record) for record in by_command(made, names)]
    assert [record["input"] for record in records if record["error"]] == ["cut.jpg", "none.jpg", "wide.png"]


def test_real_photos_give_the_records_of_the_command(service: Service, shared_data: Path, tmp_path: Path) -> None:
    photos = sorted(shared_data.rglob("*.jpg"))
    for number, photo in enumerate(random.Random(7).sample(photos, 20)):
        tmp_path.joinpath(f"{number}.jpg").symlink_to(photo)
    names = [f"{number}.jpg" for number in range(20)]
    assert by_service(service, tmp_path, names) == [comparable(record) for record in by_command(tmp_path, names)]


@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/PNG", "application/octet-stream; a=b"])
def test_a_body_is_one_photo(service: Service, photos: list[bytes], expected: list[float], kind: str) -> None:
    response = service.post("/v1/predict?name=face.jpg", content=photos[3], headers={"Content-Type": kind})
    (record,) = response.json()["records"]
    assert (record["input"], record["p_ai"]) == ("face.jpg", pytest.approx(expected[3], abs=1e-6))


def test_a_chunked_body_without_a_name_is_named_by_its_length(service: Service, photos: list[bytes]) -> None:
    pieces = (photos[0][start : start + 1000] for start in range(0, len(photos[0]), 1000))
    response = service.post(content=pieces, headers={"Content-Type": "image/jpeg"})
    assert response.json()["records"][0]["input"] == f"<{len(photos[0]):,} bytes>"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [("a%0Ab.jpg", r"a\nb.jpg"), ("%1B[31mred", r"\x1b[31mred"), ("../../etc/passwd", "../../etc/passwd"), ("ü", "ü")],
)
def test_names_are_printed_and_nothing_else(service: Service, photos: list[bytes], sent: str, answered: str) -> None:
    response = service.post(f"/v1/predict?name={sent}", content=photos[0], headers={"Content-Type": "image/jpeg"})
    assert response.json()["records"][0]["input"] == answered


def test_a_bad_photo_is_a_record_beside_the_others(service: Service, photos: list[bytes]) -> None:
    files = [("photo", ("good.jpg", photos[0])), ("other", ("bad.jpg", b"not a picture")), ("x", ("x", photos[1]))]
    good, bad, last = service.post(files=files).json()["records"]
    assert (good["error"], last["error"]) == (None, None)
    assert (bad["verdict"], bad["error"]["code"]) == (None, "not_an_image")
    assert bad["error"]["message"].startswith("bad.jpg: ")


def test_the_model_is_described(service: Service) -> None:
    described = service.get("/v1/model").json()
    document = json.loads(aiface("models", "show").stdout)
    assert described["model"] == f"{document['name']}@{document['version']}"
    assert described["labels"] == document["labels"]
    for name, point in described["operating_points"].items():
        assert point.items() <= document["operating_points"][name].items()
    assert described["operating_points"].keys() == document["operating_points"].keys()
    assert described["device"] == service.get("/healthz").json()["device"]
    assert len(described["sha256"]) == 64


def test_limits_of_a_photo_are_those_of_the_command() -> None:
    with Service("--limit", "pixels=10,000", "--isolate") as service:
        (record,) = service.post(content=picture(0), headers={"Content-Type": "image/jpeg"}).json()["records"]
    assert record["error"]["code"] == "too_large"
