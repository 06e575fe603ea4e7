"""The how-to of own methods does what it says: its code is run, its package is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TOML = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

CHECK = """
import numpy as np, torch
from xaieval import explain
from xaieval.methods import METHODS, plan, resolve_methods
assert METHODS["jitter"].label == "Jittered gradient"
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(),
                          torch.nn.Linear(4 * 14 * 14, 2))
x = torch.randn(3, 3, 16, 16)
(found,) = explain(net, x, methods="jitter[step=3]", targets=1, pooled=False).values()
total = torch.zeros_like(x)
for shift in [(0, 0), (0, 3), (3, 0), (0, -3), (-3, 0)]:
    moved = x.roll(shift, dims=(2, 3)).requires_grad_()
    gradient = torch.autograd.grad(net(moved)[:, 1].sum(), moved)[0]
    total += gradient.roll([-s for s in shift], dims=(2, 3)) / 5
np.testing.assert_allclose(found, total, atol=1e-6)
assert plan(resolve_methods(["jitter", "jitter[pooling=sum]"])).gradient_rows((16, 16)) == 5
"""


def run(code: list[str], *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *code],
        capture_output=True,
        text=True,
        check=False,
        env=None if path is None else {**os.environ, "PYTHONPATH": str(path)},
    )


def test_functions_and_captum_objects_run() -> None:
    done = run(["-c", "\n".join(PYTHON[:2])])
    assert done.returncode == 0, done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package of the page, as an installer would lay it down."""
    project = tomllib.loads(TOML[0])["project"]
    ((group, points),) = project["entry-points"].items()
    (tmp_path / "xaieval_jitter.py").write_text(PYTHON[2], encoding="utf-8")
    info = tmp_path / f"xaieval_jitter-{project['version']}.dist-info"
    info.mkdir()
    lines = [f"{name} = {target}" for name, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]), encoding="utf-8")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        encoding="utf-8",
    )
    return tmp_path


def test_a_package_adds_a_row(installed: Path) -> None:
    done = run(["-c", CHECK], path=installed)
    assert done.returncode == 0, done.stderr
    listed = run(["-m", "xaieval.cli", "list", "methods"], path=installed)
    assert "Jittered gradient" in listed.stdout, listed.stderr


def test_a_broken_package_is_left_out_and_reported(installed: Path) -> None:
    (installed / "xaieval_jitter.py").write_text("raise RuntimeError('no luck')", encoding="utf-8")
    listed = run(["-m", "xaieval.cli", "list", "methods"], path=installed)
    assert listed.returncode == 0
    assert "Saliency" in listed.stdout
    assert "left out: no luck" in listed.stderr
