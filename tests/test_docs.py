"""What the docs promise exists, and what exists is in the docs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from xaieval.cli import main
from xaieval.datasets import DATASETS
from xaieval.methods import METHODS
from xaieval.metrics import METRICS
from xaieval.models import MODELS
from xaieval.types import REASONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLES = {"datasets": DATASETS, "methods": METHODS, "metrics": METRICS, "models": MODELS}


def commands() -> list[tuple[str, str]]:
    """Return (page, command line) of each line in a console block that calls xaieval."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
            joined = block.replace("\\\n", " ")
            for line in joined.splitlines():
                line = line.split("  #")[0].strip().removeprefix("$ ")
                if line.startswith("xaieval "):
                    found.append((page.relative_to(ROOT).as_posix(), line))
    return found


@pytest.mark.parametrize(
    ("table", "name"), [(table, name) for table, rows in TABLES.items() for name in rows]
)
def test_every_id_is_documented(table: str, name: str) -> None:
    page = (ROOT / "docs" / f"{table}.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_in_the_docs_is_understood(page: str, line: str) -> None:
    """Each documented command parses against the real command line: names, options, arguments."""
    words = shlex.split(line.split("|")[0].split(">")[0])[1:]
    command: click.Command = main
    context = click.Context(command, info_name="xaieval")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None, f"{page}: no command {name!r}"
        context = click.Context(found, info_name=name, parent=context)
        command = found
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in known | {"--help"}, f"{page}: {word} in {line}"


def test_make_targets_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"


def test_python_blocks_of_the_readme_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
