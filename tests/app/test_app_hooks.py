"""What the server loads before the first session."""

from __future__ import annotations

import subprocess
import sys

CHECK = """
import importlib, pkgutil
from panel.custom import ReactiveESM
from app import app_hooks

def components(cls=ReactiveESM):
    for sub in cls.__subclasses__():
        yield sub
        yield from components(sub)

app_hooks.on_server_loaded(None)
before = set(components())
import app
for module in pkgutil.walk_packages(app.__path__, "app."):
    if module.name != "app.main":
        importlib.import_module(module.name)
late = [cls.__name__ for cls in set(components()) - before]
assert len(before) > 10, before
assert not late, f"classes of components made after the first session: {late}"
"""


def test_every_component_is_known_before_the_first_session() -> None:
    found = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
