"""The page on own models and data, block after block, in a folder of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


EVERYTHING = """
import sys
from xaieval.cli import main
from xaieval.models import MODELS

assert MODELS["my-net"].label == "My network"
parameters = sum(p.numel() for p in MODELS["my-net"].encoder("torch", (48, 48)).parameters())
assert parameters == MODELS["my-net"].parameters, parameters
for line in sys.stdin.read().splitlines():
    print("$", line, flush=True)
    try:
        main(line.split()[1:])
    except SystemExit as end:
        assert not end.code, (line, end.code)
"""

DASHBOARD = """
import sys
from app.services import open_services

services = open_services(("out/my-study",))
assert not services.problems, services.problems
(key,) = services.results
catalogue = services.catalogue(key)
assert len(catalogue.items("all", "all")) == 24
assert catalogue.seeds == (1, 2), catalogue.seeds
assert set(catalogue.classes) == {"round", "square"}
"""


@pytest.mark.slow
def test_every_block_runs_one_after_the_other(tmp_path: Path) -> None:
    look, draw, module = blocks("python")
    package, study = blocks("toml")
    (tmp_path / "my_nets.py").write_text(module, encoding="utf-8")
    (tmp_path / "my-study.toml").write_text(study, encoding="utf-8")
    project = tomllib.loads(package)["project"]
    info = tmp_path / f"my_nets-{project['version']}.dist-info"  # as an installer lays it down
    info.mkdir()
    lines = ["[xaieval.models]"]
    lines += [f"{k} = {v}" for k, v in project["entry-points"]["xaieval.models"].items()]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        encoding="utf-8",
    )
    commands = [line for block in blocks("console") for line in block.strip().splitlines()]
    serve = shlex.split(commands.pop())
    assert serve == ["xaieval", "serve", "out/my-study"]

    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    env |= {"OMP_NUM_THREADS": "1", "XAIEVAL_CACHE": str(tmp_path / "cache")}

    def run(code: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "gradcam" in run(look + draw)
    said = run(EVERYTHING, "\n".join(commands))
    assert "in order" in said
    assert "2 trained" in said
    assert (tmp_path / "out" / "my-study").is_dir()
    run(DASHBOARD)
