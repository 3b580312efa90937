"""No output is lost silently: closed, full or left by its reader ends in one line and an exit code of its own."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiface_runtime.cli import _COMMANDS

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")

Done = subprocess.CompletedProcess[str]


def python(package: str, *options: str) -> str:
    code = f"import sys; from {package}.cli import main; sys.exit(main())"
    return shlex.join([sys.executable, *options, "-P", "-c", code])


def shell(line: str, *arguments: str | Path) -> Done:
    """Run a line of bash; its `$1` and so on are the arguments."""
    words = ["bash", "-c", line, "bash", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


AIFACE = python("aiface_runtime")
PACKAGES = ("aiface_runtime", "aiface_evaluation", "aiface_export", "aiface_training")
ANSWERING = (
    *(f"predict --format {kind} $1" for kind in ("text", "json", "jsonl", "csv")),
    *(f"provenance --format {kind} $1" for kind in ("text", "json", "jsonl")),
    *("explain $1 -o $2", "models list", "models show", "models verify", "doctor", "bench --rounds 1", "--version"),
)
CLOSED = ("predict $1 >&-", "predict --help >&-", "models list 1</dev/null")


def test_all_commands_are_here() -> None:
    others = {"scan", "demo", "serve"}  # the first writes files alone, the others answer elsewhere
    assert {words.split()[0] for words in ANSWERING} | others == {*_COMMANDS, "--version"}


@pytest.mark.parametrize("words", [*(f"{words} >/dev/full" for words in ANSWERING), *CLOSED])
def test_output_that_cannot_be_written_is_one_line_and_code_4(words: str, portrait: Path, tmp_path: Path) -> None:
    done = shell(f"{AIFACE} {words}", portrait, tmp_path / "map.png")
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr
    assert done.stderr.startswith("aiface: standard output cannot be written")


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_the_other_programs_do_the_same(package: str) -> None:
    done = shell(f"{python(package)} --help >/dev/full")
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr


def test_evaluate_tells_a_full_disk_from_a_bad_photo(painted: Path) -> None:
    done = shell(f"{python('aiface_evaluation')} aiface-lite0 $1 --split val >/dev/full", painted)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr


def test_a_disk_that_fills_up_on_the_way(portrait: Path, tmp_path: Path) -> None:
    photos, output = " $1" * 20, tmp_path / "answers.jsonl"
    done = shell(f"ulimit -f 1; {AIFACE} predict --format jsonl --batch-size 2 {photos} > $2", portrait, output)
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1), done.stderr
    *whole, _ = output.read_text().split("\n")  # 1,024 bytes
    assert len(whole) >= 2
    assert all(json.loads(line)["error"] is None for line in whole)


def test_a_map_that_cannot_be_written_leaves_the_old_one(portrait: Path, tmp_path: Path) -> None:
    output = tmp_path / "map.png"
    output.write_bytes(b"the old map")
    done = shell(f"ulimit -f 1; {AIFACE} explain $1 -o $2", portrait, output)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (4, "", 1), done.stderr
    assert "map.png: cannot be written" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]
    assert output.read_bytes() == b"the old map"


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2</dev/null"])
def test_answers_do_not_need_stderr(stderr: str, portrait: Path) -> None:
    done = shell(f"{AIFACE} predict $1 no.jpg $1 {stderr}", portrait)
    assert (done.returncode, done.stderr) == (1, "")
    assert [line.startswith(f"{portrait}: ") for line in done.stdout.splitlines()] == [True, True]
    assert shell(f"{AIFACE} guess {stderr}").returncode == 2


def test_a_reader_of_messages_that_leaves_takes_no_answer_along(portrait: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers"
    shell(f"{AIFACE} predict --batch-size 1 {'no.jpg ' * 50} $1 2>&1 >$2 | head -n 1", portrait, output)
    assert output.read_text().startswith(f"{portrait}: ")


def test_a_pipe_that_does_not_block_gets_everything(portrait: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    photos = [str(portrait)] * 400  # more than a pipe holds
    with subprocess.Popen(
        [*shlex.split(AIFACE), "predict", "--format", "jsonl", *photos], stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        time.sleep(1)
        with os.fdopen(reader) as stream:
            lines = stream.read().splitlines()
        assert (process.wait(), process.stderr.read() if process.stderr else None) == (0, b"")
    assert [json.loads(line)["input"] for line in lines] == photos


@pytest.mark.parametrize(
    ("stdin", "says"),
    [("<&-", "closed"), ("< /dev/null", "0 bytes"), ("0>/dev/null", "-: ")],
)
def test_a_bad_stdin_is_the_record_of_that_input(stdin: str, says: str, portrait: Path) -> None:
    done = shell(f"{AIFACE} predict --format jsonl - $1 {stdin}", portrait)
    bad, good = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, done.stderr, bad["input"], good["error"]) == (1, "", "-", None)
    assert says in bad["error"]["message"]


@pytest.mark.parametrize("package", PACKAGES)
def test_python_without_docstrings(package: str) -> None:
    done = shell(f"{python(package, '-OO')} --help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout


def test_answers_without_docstrings(portrait: Path) -> None:
    done = shell(f"{python('aiface_runtime', '-OO')} predict $1", portrait)
    assert (done.returncode, done.stderr) == (0, "")


def _heed_signals() -> None:
    """Undo what a test run under nohup or in the background hands down: signals that are ignored stay so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(portrait: Path, *options: str, photos: int = 3000) -> subprocess.Popen[str]:
    """Start a long run, and wait for its first answer."""
    process = subprocess.Popen(
        [*shlex.split(AIFACE), "predict", "--format", "jsonl", *options, *[str(portrait)] * photos],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_heed_signals,  # noqa: PLW1509 sets handlers alone
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["error"] is None
    return process


@pytest.mark.parametrize(
    ("name", "signals"), [("SIGINT", 1), ("SIGINT", 2), ("SIGTERM", 1), ("SIGTERM", 2), ("SIGHUP", 1)]
)
def test_signals_end_it_quietly(name: str, signals: int, portrait: Path) -> None:
    number = getattr(signal, name)
    with started(portrait, "--threads", "4") as process:
        for _ in range(signals):
            process.send_signal(number)
            time.sleep(0.02)
        output, errors = process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number)  # the second may meet an interpreter that is nearly gone
    assert errors == ""
    assert all(json.loads(line)["error"] is None for line in output.splitlines())


def test_an_interrupted_array_is_one(portrait: Path) -> None:
    words = [*shlex.split(AIFACE), "predict", "--format", "json", *[str(portrait)] * 3000]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline() + process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()
    assert process.wait() == 128 + signal.SIGTERM
    assert 1 <= len(json.loads(first + rest)) < 3000


def test_what_was_answered_outlives_a_kill(portrait: Path) -> None:
    with started(portrait, "--batch-size", "1") as process:
        time.sleep(0.2)
        process.kill()
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (-signal.SIGKILL, "")
    assert output.endswith("\n")
    assert all(json.loads(line)["error"] is None for line in output.splitlines())


def test_signals_that_are_ignored_stay_ignored(portrait: Path) -> None:
    done = shell(f"trap '' HUP INT; {AIFACE} predict $1 & sleep 0.1; kill -HUP $!; kill -INT $!; wait $!", portrait)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)


def test_a_terminal_that_closes(portrait: Path) -> None:
    leader, follower = pty.openpty()
    words = [*shlex.split(AIFACE), "predict", "--batch-size", "1", *[str(portrait)] * 3000]
    with subprocess.Popen(words, stdout=follower, stderr=subprocess.PIPE) as process:
        os.close(follower)
        assert os.read(leader, 10)
        os.close(leader)
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
        assert (process.wait(), len(lines)) == (4, 1), lines


def test_the_caller_keeps_streams_and_handlers(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from aiface_runtime.cli import main\n"
        "before = sys.stdout, sys.stderr, signal.getsignal(2), signal.getsignal(15)\n"
        "assert main(['models', 'list']) == 0\n"
        "assert before == (sys.stdout, sys.stderr, signal.getsignal(2), signal.getsignal(15))\n"
        "print('and on')"
    )
    done = shell('"$1" -P -c "$2"', sys.executable, code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "and on"
