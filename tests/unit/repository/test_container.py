"""The image and its examples hold to what the service takes, and to what they promise."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from aiface_runtime.cli import _parser

ROOT = Path(__file__).resolve().parents[3]


def last_stage() -> dict[str, str]:
    """Map each instruction of the image itself to its arguments; of several the last."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stage = re.split(r"^FROM ", text, flags=re.MULTILINE)[-1]
    return dict(line.split(" ", 1) for line in f"FROM {stage}".splitlines() if line and not line.startswith("#"))


def documents() -> dict[str, Any]:
    """Parse the compose file and the page's Kubernetes example."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    page = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return {"compose": compose["services"]["aiface"], **{each["kind"]: each for each in yaml.safe_load_all(block)}}


def service_arguments(words: list[str]) -> Any:
    return _parser().parse_args(words[words.index("aiface_runtime") + 1 :])


def test_the_image_starts_the_service_as_no_root_and_without_a_shell() -> None:
    stage = last_stage()
    assert service_arguments(json.loads(stage["ENTRYPOINT"])).host == "0.0.0.0"
    assert stage["FROM"].startswith("gcr.io/distroless/")
    assert "RUN" not in stage
    assert int(stage["USER"].partition(":")[0]) > 0
    assert json.loads(stage["HEALTHCHECK"].partition("CMD ")[2])[1] == "-c"


def test_the_build_gets_every_package() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    folders = {line.partition("= ")[2] for line in config["options"]["package_dir"].splitlines() if line}
    sent = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
    assert {f"!{folder}" for folder in folders | {"aiface_runtime", "setup.cfg", "pyproject.toml", "README.md"}} <= sent


def test_the_examples_are_read_only_and_unprivileged() -> None:
    parsed = documents()
    compose, pod = parsed["compose"], parsed["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert compose["read_only"]
    assert compose["cap_drop"] == container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert [port.split(":")[0] for port in compose["ports"]] == ["127.0.0.1"]
    arguments = service_arguments([*json.loads(last_stage()["ENTRYPOINT"]), *container["args"]])
    assert pod["terminationGracePeriodSeconds"] > arguments.drain + arguments.seconds
    assert int(compose["stop_grace_period"].rstrip("s")) > arguments.seconds
    probes = {container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probes == {"/healthz", "/readyz"}
