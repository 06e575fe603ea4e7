"""The house plan, enforced: who may import whom, and what the wheel must hold."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The way of the data: a room may import rooms that stand before it, never after it.
ORDER = [
    "errors",
    "table",
    "files",
    "journal",
    "digest",
    "types",
    "geometry",
    "progress",
    "defining",
    "datasets",
    "models",
    "methods",
    "metrics",
    "edits",
    "doctor",
    "sanity",
    "stats",
    "glossary",
    "cache",
    "shelf",
    "jobs",
    "evaluating",
    "backend",
    "study",
    "render",
    "figures",
    "export",
    "sensitivity",
    "triage",
    "outcomes",
    "reproduce",
    "report",
    "story",
    "cli",
]
# Two rooms may not know each other although the line would allow it.
STRANGERS = {
    ("models", "datasets.synthetic_hazelnut"),
    ("methods", "datasets"),
    ("metrics", "datasets"),
    ("metrics", "models"),
    ("metrics", "methods"),
    ("stats", "datasets"),
    ("stats", "models"),
    ("stats", "methods"),
    ("stats", "metrics"),
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (absolute dotted name, relative level) of each import statement in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            if node.module == "xaieval":
                for alias in node.names:
                    yield f"xaieval.{alias.name}", 0


def room(name: str) -> str:
    return name.split(".")[1] if name.count(".") else ""


@pytest.mark.parametrize("path", modules("xaieval"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_library_imports(path: Path) -> None:
    parts = path.relative_to(ROOT / "xaieval").with_suffix("").parts
    own = parts[0]
    for name, _ in imports(path):
        top = name.split(".")[0]
        assert top not in {"panel", "panel_material_ui", "xaieval_app", "app"}, name
        if top == "holoviews":
            assert own == "figures", "holoviews is for figures.py only"
        if top != "xaieval" or own in {"__init__", "cli"}:
            continue
        other = room(name)
        if other in ORDER and own in ORDER:
            assert ORDER.index(other) <= ORDER.index(own), f"{own} must not know {other}"
        for a, b in STRANGERS:
            assert not (own == a and name.startswith(f"xaieval.{b}")), f"{own} must not know {b}"


def test_every_room_is_in_the_plan() -> None:
    found = {p.stem if p.is_file() else p.name for p in (ROOT / "xaieval").iterdir()}
    found -= {"__init__", "py", "__pycache__", "py.typed"}
    found = {name for name in found if not name.startswith(".")}
    assert found == set(ORDER)


def test_no_import_circles() -> None:
    graph: dict[str, set[str]] = {}
    for path in modules("xaieval"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        graph[name] = set()
        # Imports for type checkers count: a circle of types is a circle of ideas.
        for node in _module_level(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                graph[name].add(node.module)
                graph[name] |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names}
    # A package's __init__ gathers its modules, so only module -> module edges can form a circle.
    leaves = {n for n in graph if not any(m.startswith(f"{n}.") for m in graph)}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for other in graph[name] & leaves:
            visit(other, (*trail, name))
        done.add(name)

    for name in leaves:
        visit(name, ())


def _module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, those under a top-level ``if`` among them."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If):
            yield from node.body


@pytest.mark.parametrize("path", modules("app"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_app_uses_relative_imports(path: Path) -> None:
    own = {"app", "xaieval_app"} | {p.stem for p in (ROOT / "app").iterdir()}
    for name, level in imports(path):
        assert level or name.split(".")[0] not in own, f"import {name} relatively"


def test_app_holds_no_numerics() -> None:
    for path in modules("app"):
        tops = {name.split(".")[0] for name, level in imports(path) if not level}
        assert not tops & {"torch", "captum", "scipy", "duckdb"}, path


def test_wheel_lists_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    names = project["tool"]["setuptools"]["package-dir"]
    there = set()
    for package, folder in names.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / folder).parts
            there.add(".".join((package, *inner)))
    assert listed == there


def test_core_dependencies_are_in_real_use() -> None:
    wanted = {"panel", "holoviews", "bokeh", "torch", "captum", "numpy", "PIL", "param"}
    used = {
        name.split(".")[0]
        for folder in ("xaieval", "app")
        for path in modules(folder)
        for name, level in imports(path)
        if not level
    }
    assert wanted <= used


def test_every_test_file_has_a_name_of_its_own() -> None:
    # pytest imports test files by their bare names: two of one name cannot both be collected.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
