"""serve and demo: the dashboard, through ``panel serve``."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from xaieval.errors import ConfigError

PORT = 5006
LOCAL = "localhost"


def app_folder() -> Path:
    """Return the folder that ``panel serve`` takes.

    Raises
    ------
    ConfigError
        When this installation lacks the dashboard.
    """
    found = importlib.util.find_spec("xaieval_app")
    if found is None or not found.origin:
        raise ConfigError("this installation lacks the dashboard", fix="install xaieval again")
    return Path(found.origin).parent


def panel_command(
    results: Sequence[str], *, port: int, address: str, browser: bool, origins: Sequence[str] = ()
) -> list[str]:
    """Return the command line that serves the dashboard on some results (none: the built-in)."""
    command = [sys.executable, "-m", "panel", "serve", str(app_folder())]
    command += ["--port", str(port), "--address", address]
    for origin in origins:
        command += ["--allow-websocket-origin", origin]
    if browser:
        command.append("--show")
    return [*command, "--args", *results] if results else command


def free_port(address: str, first: int = PORT) -> int:
    """Return the first port from ``first`` on that nobody listens on.

    Raises
    ------
    ConfigError
        When fifty in a row are taken.
    """
    for port in range(first, first + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise ConfigError("no free port", where=f"{first} to {first + 49}", fix="name one: --port N")


def _start(command: list[str], port: int, address: str) -> None:
    click.echo(f"dashboard on http://{address}:{port}/{app_folder().name} (Ctrl-C stops it)")
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)  # one process: signals reach the server itself
    sys.exit(subprocess.call(command))


_port = click.option(
    "--port", type=click.IntRange(1, 65535), help="[default: 5006 or the next free]"
)
_browser = click.option("--no-browser", is_flag=True, help="Do not open a browser.")


@click.command()
@click.argument("results", nargs=-1, metavar="[STUDY_OR_RESULTS]...")
@_port
@click.option("--address", default=LOCAL, show_default=True, help="Where to listen.")
@click.option(
    "--allow-origin", "origins", multiple=True, help="HOST:PORT of a page that may connect."
)
@_browser
def serve(
    results: tuple[str, ...],
    port: int | None,
    address: str,
    origins: tuple[str, ...],
    no_browser: bool,
) -> None:
    """Open the dashboard on results folders or studies (none: the built-in study).

    A folder that holds results, such as that of an experiment, opens all of them.
    """
    from xaieval.study.opening import open_results

    folders: list[str] = []
    for name in results:  # a mistake is told here, before a server runs that can only show it
        folders += [str(found.path) for found in open_results(name)]
    chosen = port or free_port(address)
    command = panel_command(
        folders, port=chosen, address=address, browser=not no_browser, origins=origins
    )
    _start(command, chosen, address)


@click.command()
@_port
@_browser
def demo(port: int | None, no_browser: bool) -> None:
    """Open the dashboard on the built-in study."""
    from xaieval.study import demo_results

    demo_results()
    chosen = port or free_port(LOCAL)
    _start(panel_command((), port=chosen, address=LOCAL, browser=not no_browser), chosen, LOCAL)
