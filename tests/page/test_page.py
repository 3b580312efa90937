"""What a person does on the page, in headless Chromium."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, PngImagePlugin

from aiface_runtime import Classifier, provenance
from tests.support.demo_page import MAX_BYTES, Demo, findings, finished, send

if TYPE_CHECKING:
    from playwright.sync_api import Page

    OpenTab = Callable[..., Page]

DARK = "rgb(15, 15, 17)"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(device="cpu")


def p_ai(page: Page) -> float:
    """Return P(AI) as the page has it, with all digits."""
    return float(page.get_attribute(".aiface-answer", "data-p-ai") or "nan")


def test_an_upload_is_answered_with_all_there_is_to_say(
    tab: Page, demo: Demo, photos: dict[str, Path], classifier: Classifier
) -> None:
    answer = classifier.predict(photos["tiny.jpg"])
    status = send(tab, photos["tiny.jpg"])
    assert status == f"tiny.jpg: {tab.inner_text('.aiface-answer h2')}. {answer.explanation}"
    assert p_ai(tab) == answer.p_ai
    bar = tab.get_by_role("img", name=re.compile("calibrated probability"))
    assert re.search(
        rf"is {100 * answer.p_ai:.1f} %.*operating point balanced.*uncertain between",
        bar.get_attribute("aria-label") or "",
    )
    text = tab.inner_text(".aiface-answer")
    assert "Tiny: the shorter side has fewer than 64 pixels." in text
    assert "Small: the photo had to be enlarged for the model." in text
    assert answer.model in text
    assert re.search(r"measured .* \d+ real .* called [\d.]+ % of the real photos AI", text)
    assert "What the file itself says" in text
    alternatives = [image.get_attribute("alt") for image in tab.locator(".aiface-answer img").all()]
    assert len(alternatives) == 3  # photo, class activation map, face map
    assert all(alternatives)
    widths = tab.eval_on_selector_all(".aiface-answer img", "all => all.map(image => image.naturalWidth)")
    assert min(widths) > 0
    assert demo.leftovers == []


def test_a_photo_is_pasted_by_the_keyboard_and_by_the_button(
    open_tab: OpenTab, demo: Demo, photos: dict[str, Path], classifier: Classifier
) -> None:
    tab = open_tab(permissions=["clipboard-read", "clipboard-write"])
    example = "button[data-example='drawn_face.png'] img"
    copy = """async (image) => {
        const data = await (await fetch(image.src)).blob();
        await navigator.clipboard.write([new ClipboardItem({ "image/png": data })]);
    }"""
    expected = classifier.predict(photos["drawn_face.png"]).p_ai
    tab.eval_on_selector(example, copy)
    tab.keyboard.press("Control+V")
    finished(tab)
    assert p_ai(tab) == expected  # the browser encodes the picture anew, with the same pixels
    tab.reload()
    tab.click("[data-paste]")
    assert finished(tab).startswith("pasted.png: ")
    assert p_ai(tab) == expected
    assert demo.leftovers == []


def test_a_photo_is_dropped(tab: Page, photos: dict[str, Path], classifier: Classifier) -> None:
    drop = """async (source) => {
        const data = await (await fetch(source)).blob();
        const transfer = new DataTransfer();
        transfer.items.add(new File([data], "dropped.png", { type: "image/png" }));
        const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
        document.querySelector(".aiface-drop").dispatchEvent(new DragEvent("drop", options));
    }"""
    tab.evaluate(drop, tab.get_attribute("button[data-example='with_prompt.png'] img", "src"))
    assert finished(tab).startswith("dropped.png: ")
    assert p_ai(tab) == classifier.predict(photos["with_prompt.png"]).p_ai


def test_the_camera_takes_a_photo(tab: Page) -> None:
    tab.click("[data-camera]")
    tab.wait_for_function("() => document.querySelector('.aiface-camera video').videoWidth > 0")
    tab.click("[data-shoot]")
    assert finished(tab).startswith("camera.png: ")
    assert tab.is_hidden(".aiface-camera")
    assert tab.evaluate("() => document.querySelector('.aiface-camera video').srcObject") is None


def test_bad_and_huge_files_are_one_line_and_the_page_goes_on(
    tab: Page, demo: Demo, photos: dict[str, Path], tmp_path: Path
) -> None:
    text, empty, huge, bomb = (tmp_path / name for name in ("text.jpg", "empty.jpg", "huge.jpg", "bomb.png"))
    text.write_text("no picture")
    empty.touch()
    huge.write_bytes(b"\xff\xd8\xff" + bytes(MAX_BYTES))
    Image.new("L", (6000, 6000)).save(bomb)
    uploads: list[str] = []
    tab.on("request", lambda request: uploads.append(request.url) if "/upload" in request.url else None)
    expected = {text: "not a picture", empty: "is empty", huge: f"at most {MAX_BYTES:,}", bomb: "6000 x 6000 pixels"}
    for file, message in expected.items():
        line = send(tab, file)
        assert message in line
        assert line.startswith(f"{file.name}: ")
        assert tab.inner_text(".aiface-message") == line
        assert tab.locator(".aiface-answer").count() == 0
    assert len(uploads) == 3  # the huge one never left the browser
    empty_ones = [{"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": b""} for number in range(101)]
    assert send(tab, *empty_ones) == "101 photos: choose at most 100 at a time."
    assert len(uploads) == 3
    assert send(tab, photos["drawn_face.png"]).startswith("drawn_face.png: ")
    assert tab.locator(".aiface-message").count() == 0
    assert demo.leftovers == []


def test_several_photos_are_a_table_and_the_csv_of_the_command(
    tab: Page, photos: dict[str, Path], tmp_path: Path
) -> None:
    for path in photos.values():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "=1+1.png").write_bytes(b"no picture")
    names = [path.name for path in sorted(tmp_path.iterdir())]
    status = send(tab, *(tmp_path / name for name in names))
    assert status.startswith(f"{len(names)} photos: ")
    assert status.endswith("1 without an answer.")
    rows = tab.locator(".aiface-table tbody tr")
    assert [row.locator("th").inner_text() for row in rows.all()] == names
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename == "aiface.csv"
    assert Path(download.value.path()).read_bytes() == table_of_the_command(tmp_path, names)
    tab.get_by_role("button", name=f"Details of {names[-1]}").click()
    tab.wait_for_selector(".aiface-answer")
    assert finished(tab).startswith(f"{names[-1]}: ")
    assert rows.count() == len(names)  # the table stays
    assert tab.evaluate("() => document.activeElement.matches('.aiface-answer h2')")


def table_of_the_command(folder: Path, names: list[str]) -> bytes:
    command = [sys.executable, "-P", "-m", "aiface_runtime", "predict", "--device", "cpu", "--format", "csv"]
    return subprocess.run([*command, *names], cwd=folder, capture_output=True, check=False).stdout


def test_another_operating_point_is_asked_about_without_choosing_the_photo_again(
    tab: Page, photos: dict[str, Path]
) -> None:
    send(tab, photos["drawn_face.png"])
    for point in ("low_false_alarm", "high_recall"):
        tab.check(f"input[value={point}]")
        tab.wait_for_selector(f".aiface-bar[aria-label*='{point}']")
        finished(tab)
        assert tab.locator(".aiface-answer strong", has_text=point).count() == 1


def test_where_there_is_no_answer_no_other_one_is_taken_for_it(tab: Page, demo: Demo, photos: dict[str, Path]) -> None:
    send(tab, photos["drawn_face.png"])
    tab.evaluate(
        """() => {
            const honest = window.fetch;
            window.fetch = (...request) => String(request[0]?.url ?? request[0]).includes("queue/join")
                ? Promise.resolve(new Response('{"detail": "Queue is full."}', { status: 503 }))
                : honest(...request);
            window.mend = () => { window.fetch = honest; };
        }"""
    )
    assert send(tab, photos["tiny.jpg"]) == "There was no answer; try again in a moment."
    assert tab.is_hidden(".aiface-answer")
    for left in demo.leftovers:  # nobody was asked about it; the server would remove it in a quarter of an hour
        left.unlink()
    tab.evaluate("() => window.mend()")
    assert send(tab, photos["tiny.jpg"]).startswith("tiny.jpg: ")
    assert tab.is_visible(".aiface-answer")


def test_what_the_file_says_stands_beside_the_score(tab: Page, photos: dict[str, Path]) -> None:
    said = provenance.read(photos["with_prompt.png"])
    send(tab, photos["with_prompt.png"])
    section = tab.inner_text(".aiface-file")
    parts = [said.credentials.reason, *said.notes]
    parts += [text for finding in said.findings for text in (finding.statement, finding.evidence, finding.where)]
    for part in filter(None, parts):
        assert " ".join(part.split()) in " ".join(section.split())
    with_prompt = p_ai(tab)
    send(tab, photos["drawn_face.png"])
    assert p_ai(tab) == with_prompt  # the same pixels without the prompt


def test_everything_is_done_with_the_keyboard(open_tab: OpenTab, photos: dict[str, Path]) -> None:
    tab = open_tab()
    reached: dict[str, str] = {}
    for _ in range(30):
        tab.keyboard.press("Tab")
        name, outline = tab.evaluate(
            """() => {
                const active = document.activeElement;
                const shown = active.type === "file" ? active.parentElement : active;
                const name = active.type || active.tagName;
                return [`${name} ${active.innerText || active.value}`.trim(), getComputedStyle(shown).outlineStyle];
            }"""
        )
        if name in reached or name.startswith("BODY"):
            break
        reached[name] = outline
    names = list(reached)
    assert names[0] == "file"
    assert names[1:3] == ["button Paste", "button Use the camera"]
    assert names[3] == "radio balanced"  # one stop for the group; the arrow keys choose
    assert sum("drawn" in name for name in names) == 4
    assert set(reached.values()) == {"solid"}  # each is seen to have the focus
    tab.focus("input[value=balanced]")
    tab.keyboard.press("ArrowDown")
    assert tab.is_checked("input[value=low_false_alarm]")
    tab.focus("button[data-example='drawn_scene.png']")
    tab.keyboard.press("Enter")
    assert "drawn_scene.png: Uncertain" in finished(tab)
    send(tab, photos["drawn_face.png"], photos["tiny.jpg"])
    tab.focus("[data-photo='1']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".aiface-answer")
    assert finished(tab).startswith("tiny.jpg: ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wrong_for_a_screen_reader_or_on_a_phone(
    scheme: str, open_tab: OpenTab, photos: dict[str, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "a_name_that_is_much_too_long_for_the_width_of_a_phone_and_has_no_space_in_it_at_all.jpg"
    bad.write_text("no picture")
    tab = open_tab(color_scheme=scheme, viewport={"width": 360, "height": 740})
    background = tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (background == DARK) == (scheme == "dark")
    for chosen in ((), (photos["with_prompt.png"],), (photos["tiny.jpg"], bad), (bad,)):
        if chosen:
            send(tab, *chosen)
        tab.click("summary")
        assert findings(tab) == []
        assert tab.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    assert tab.locator(".aiface-status[role=status][aria-live=polite]").count() == 1


def test_names_and_metadata_with_markup_are_text(tab: Page, photos: dict[str, Path], tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>${alert(2)}{{alert 3}}`&#60;"
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", f"{hostile}<script>alert(4)</script>\nSteps: 20, Sampler: Euler a")
    picture = io.BytesIO()
    Image.open(photos["drawn_face.png"]).save(picture, "PNG", pnginfo=info)
    file = {"name": f"{hostile}.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    bad = {"name": f"{hostile}.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    assert send(tab, file).startswith(f"{hostile}.png: ")
    assert tab.inner_text(".aiface-name") == f"{hostile}.png"
    assert tab.locator(".aiface-answer img").count() == 3
    assert hostile in send(tab, bad)
    send(tab, file, bad)
    assert tab.locator(".aiface-table tbody th").all_inner_texts() == [f"{hostile}.png", f"{hostile}.jpg"]


def test_twenty_photos_get_what_predict_gives(
    tab: Page, demo: Demo, shared_data: Path, classifier: Classifier, tmp_path: Path
) -> None:
    """The table by its CSV, every digit; and each photo alone."""
    found = (
        path
        for label in ("real", "ai")
        for path in sorted(shared_data.joinpath("val", label).rglob("*"))[::25][:20]
        if path.is_file() and path.stat().st_size < MAX_BYTES
    )
    chosen = list(found)
    chosen = chosen[:10] + chosen[-10:]
    assert len(set(chosen)) == 20
    send(tab, *chosen)
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download as CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    answers = [classifier.predict(path) for path in chosen]
    assert [(row["verdict"], float(row["p_ai"])) for row in rows] == [(one.verdict, one.p_ai) for one in answers]
    assert {row["verdict"] for row in rows} >= {"real", "ai"}
    for path, answer in zip(chosen, answers, strict=True):
        send(tab, path)
        assert p_ai(tab) == answer.p_ai
        assert tab.locator(f".aiface-verdict.aiface-{answer.verdict.value}").count() == 1
    assert demo.leftovers == []
