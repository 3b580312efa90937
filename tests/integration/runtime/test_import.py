"""Light to import, and independent of everything that training and export need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import aiface_runtime

HEAVY = ("numpy", "PIL", "onnxruntime")
FORBIDDEN = (
    "torch",
    "transformers",
    "onnx",
    "tensorflow",
    "optimum",
    "huggingface_hub",
    "aiface_evaluation",
    "aiface_export",
    "aiface_training",
)


def python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_public_names() -> None:
    assert aiface_runtime.__all__ == [
        *("AifaceError", "Classifier", "Failure", "Limits", "PhotoWarning", "Prediction", "Verdict", "__version__")
    ]
    assert all(hasattr(aiface_runtime, name) for name in aiface_runtime.__all__)
    assert dir(aiface_runtime) == sorted(aiface_runtime.__all__)


def test_importing_the_package_or_showing_help_loads_nothing_heavy() -> None:
    code = f"import sys, aiface_runtime; print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code).strip() == "[]"
    code = (
        "import sys\nfrom aiface_runtime.cli import main\n"
        f"try: main(['--help'])\nexcept SystemExit: pass\nprint([m for m in {HEAVY} if m in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_predict_runs_where_the_training_stack_cannot_be_imported(portrait: Path) -> None:
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Block())
from aiface_runtime.cli import main
sys.exit(main(["predict", "--format", "jsonl", sys.argv[1]]))
"""
    record = json.loads(python(code, str(portrait)))
    assert record["error"] is None
    assert 0.0 <= record["p_ai"] <= 1.0


def test_a_missing_backend_says_what_to_install() -> None:
    code = """
import sys
sys.modules["onnxruntime"] = None
from aiface_runtime.cli import main
sys.exit(main(["predict", "any.jpg"]))
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 'pip install "aiface[cpu]"' in done.stderr
    assert 'pip install "aiface[gpu]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
