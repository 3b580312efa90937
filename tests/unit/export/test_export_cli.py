"""The command: which source is opened, what is refused before anything is converted, and what help needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aiface_export.cli import _options, _parser, main
from aiface_export.errors import SourceError
from aiface_export.options import PRECISIONS, VARIANTS, ExportOptions
from aiface_export.source import Hints
from aiface_export.sources import open_source

ROOT = Path(__file__).resolve().parents[3]


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that says what is wrong."""
    capsys.readouterr()
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = [line for line in captured.err.splitlines() if line.startswith("aiface-export: ")]
    return line


@pytest.mark.parametrize("options", [[], ["--processor", "p.json"], ["--config", "c.json"]])
def test_an_onnx_file_needs_what_describes_it(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"any")
    line = refusal([str(file), "-o", str(tmp_path / "out.onnx"), *options], capsys)
    assert "give --processor preprocessor_config.json and --config config.json, or --labels" in line
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("source", "hints", "says"),
    [
        ("model.onnx", {"labels": ("real", "ai")}, "give --processor"),
        ("model.onnx", {"channels": "bgr", "processor": Path("p"), "config": Path("c")}, "leave out --channels"),
        ("network.h5", {"head": "logits"}, "--head and --output-name are for an .onnx file"),
        ("folder", {"output": "logits"}, "--head and --output-name are for an .onnx file"),
        ("network.h5", {"processor": Path("p"), "config": Path("c")}, "are for an .onnx file"),
        ("folder", {"config": Path("c")}, "are for an .onnx file"),
        ("folder", {"resize": "bicubic"}, "leave out --labels"),
        ("weights.safetensors", {}, "give its folder"),
        ("weights.safetensors", {"subfolder": "sub"}, "leave it out"),
        ("network.h5", {"subfolder": "sub"}, "leave it out"),
    ],
)
def test_hints_are_for_the_sources_that_need_them(
    source: str, hints: dict[str, object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "weights.safetensors").write_bytes(b"any")
    with pytest.raises(SourceError, match=says.replace(".", r"\.")):
        open_source(source, (), Hints(**hints))


def test_the_old_form_is_told_the_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "out.onnx")]) == 1
    first, *_, last = capsys.readouterr().err.splitlines()
    assert "leave the word out: aiface-export MODEL.onnx --processor FILE --config FILE" in first
    assert last.startswith(f"aiface-export: {tmp_path / 'model.onnx'}: does not say what to do with a photo")


def test_a_report_needs_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["anything", "-o", str(tmp_path / "out.onnx"), "--report", str(tmp_path / "absent" / "report.json")]
    assert "make it first" in refusal(words, capsys)


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_tmp_path")
@pytest.mark.parametrize(
    ("made", "options", "says"),
    [
        ("report.json/", ["--report", "report.json"], "--report report.json: is a folder"),
        ("", ["--report", "out.onnx"], "is the model; name a file of its own"),
        ("index.json", ["--bundle"], "index.json: is not an index of models"),
        ("out.md/", ["--bundle"], "out.md: is a folder, where --bundle writes"),
        ("", ["-o", "logits"], "the output must end in .onnx (--output-name"),
    ],
)
def test_what_could_not_be_written_is_told_before_the_source_is_read(
    made: str, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if made.endswith("/"):
        Path(made).mkdir()
    elif made:
        Path(made).write_text('{"models": {"one"')
    assert says in refusal(["no such source", "-o", "out.onnx", *options], capsys)


@pytest.mark.parametrize(
    "options",
    [["--precision", "int4"], ["--channels", "grb"], ["--resize", "cubic"], ["--labels", "a"], ["--head", "shares"]],
)
def test_wrong_usage(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["folder", "-o", "out.onnx", *options])
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_every_option_reaches_the_export() -> None:
    words = ["folder", "-o", "out.onnx", "--images", "photos", "--name", "other", "--model-version", "7"]
    words += ["--precision", "int8", "--calibrate", "labelled", "--scaled-decoding"]
    assert _options(_parser().parse_args(words), "the command") == ExportOptions(
        images=Path("photos"),
        name="other",
        model_version="7",
        precision="int8",
        calibrate_on=Path("labelled"),
        scaled_decoding=True,
        command="the command",
    )
    assert _options(_parser().parse_args(words[:3]), "") == ExportOptions()


def test_the_choices_are_declared_once() -> None:
    assert ("fp32", *VARIANTS, "auto") == PRECISIONS
    assert [name for name in PRECISIONS if ExportOptions(precision=name).makes_int8] == ["int8", "auto"]
    rounded = [name for name in PRECISIONS if ExportOptions(precision=name).rounds_weights]
    assert rounded == ["int6-weights", "int4-weights"]


@pytest.mark.parametrize(
    ("module", "words"), [("aiface_export.cli", ["--help"]), ("aiface_export.large.cli", ["compose", "--help"])]
)
def test_help_needs_no_framework(module: str, words: list[str]) -> None:
    """And says every precision that there is."""
    code = (
        f"import sys; from {module} import main\n"
        f"try: main({words})\n"
        "finally: print(sorted({'torch', 'transformers', 'onnx', 'numpy', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"
    assert "{fp32,fp16,int8,fp16-weights,int8-weights,int6-weights,int4-weights,auto}" in run.stdout
