"""The command line as a person meets it: one clear line for bad input, exit codes, quick start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from xaieval.cli import main, serving
from xaieval.cli.options import Names, Seeds
from xaieval.errors import Cancelled, ConfigError, DataError


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def published(path: Path) -> Path:
    rate = {"gradcam": 1.0, "saliency": 0.0}
    block = {
        "win_rate": {"crack": rate, "overall": rate},
        "balanced_accuracy": [0.5],
        "loss_total_ce_mask": [[2.0, 1.5, 0.5]],
    }
    path.write_text(json.dumps({"42": {"train": block, "test": block}}))
    return path


@pytest.mark.parametrize("table", ["methods", "metrics", "datasets", "models", "studies"])
def test_list(table: str):
    shown = call("list", table)
    assert shown.exit_code == 0, shown.output
    rows = json.loads(call("list", table, "--format", "json").output)
    assert rows
    for row in rows:
        assert row["id"] in shown.output


def test_list_tells_options_and_sources():
    methods = {
        row["id"]: row for row in json.loads(call("list", "methods", "--format", "json").output)
    }
    assert methods["integrated_gradients"]["defaults"]["n_steps"] > 1
    assert "Sundararajan" in methods["integrated_gradients"]["paper"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "demoo"], "unknown study (or study file) 'demoo'"),
        (["run", "none.toml"], "none.toml: cannot read the study"),
        (["summary", "nowhere"], "nowhere: not a results folder"),
        (["serve", "nowhere"], "unknown study (or study file) 'nowhere'"),
        (["reproduce", "project-iml", "--published", "none.json"], "none.json: cannot read it"),
        (["data", "check", "nowhere"], "nowhere"),
        (["data", "get", "hazelnut-to"], "Did you mean 'hazelnut-toy'"),
        (
            ["explain", "none.png", "--checkpoint", "none.safetensors", "--out", "o"],
            "none.safetensors",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    found = call(*arguments)
    assert os.listdir() == []
    assert found.exit_code == 2, found.output
    lines = found.output.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert words in lines[0]


def test_a_study_with_an_unknown_key(tmp_path: Path):
    (tmp_path / "s.toml").write_text(
        'schema = 1\n[study]\nid = "s"\ntitle = "s"\n[data]\nname = "folder"\n'
        '[model]\narch = "small-cnn"\n[train]\nepoch = 3\n'
    )
    found = call("train", tmp_path / "s.toml")
    assert found.exit_code == 2
    assert "[train]: unknown key 'epoch'" in found.output
    assert "Did you mean 'epochs'?" in found.output


def test_reproduce_and_summary(tmp_path: Path):
    runs = published(tmp_path / "runs.json")
    found = call("reproduce", "project-iml", "--published", runs, "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    note = "re-aggregated from published runs, no model run here"
    assert note in found.output
    for kind in ("table", "json", "csv", "latex"):
        text = call("summary", tmp_path / "out", "--format", kind)
        assert text.exit_code == 0, text.output
        assert note in text.output
    assert json.loads(call("summary", tmp_path / "out", "--format", "json").output)["win_rates"]


def test_ctrl_c_and_cancel_end_cleanly(monkeypatch: pytest.MonkeyPatch):
    for error in (KeyboardInterrupt(), Cancelled()):

        def stop(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("xaieval.study.results.read_manifest", stop)
        found = call("summary", "x")
        assert found.exit_code == 130
        assert found.output.strip() == "stopped"


def test_seeds_and_names():
    assert Seeds().convert("42,44-46", None, None) == (42, 44, 45, 46)
    assert Seeds().convert("1,2,1", None, None) == (1, 2)
    for bad in ("x", "3-1", "1,,2"):
        with pytest.raises(click.BadParameter):
            Seeds().convert(bad, None, None)
    assert Names().convert("a, b[c=1,d=2],e", None, None) == ("a", "b[c=1,d=2]", "e")
    with pytest.raises(click.BadParameter):
        Names().convert("a,,b", None, None)


def test_serve_starts_panel_on_the_app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[list[str]] = []
    monkeypatch.setattr(serving, "_start", lambda command, port, address: started.append(command))
    runs = published(tmp_path / "runs.json")
    call("reproduce", "project-iml", "--published", runs, "--out", tmp_path / "a b")
    found = call("serve", tmp_path / "a b", "--port", "5123", "--no-browser")
    assert found.exit_code == 0, found.output
    command = started[0]
    assert command[:4] == [sys.executable, "-m", "panel", "serve"]
    folder = Path(command[4])
    assert (folder / "main.py").is_file()
    assert command[-2:] == ["--args", str(tmp_path / "a b")]
    assert command[5:7] == ["--port", "5123"]
    assert "--show" not in command
    call("serve", tmp_path / "a b", "--address", "0.0.0.0", "--allow-origin", "host:1")
    assert started[1][started[1].index("--allow-websocket-origin") + 1] == "host:1"
    assert "--show" in started[1]


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serving.free_port("localhost", port) > port


def test_no_dashboard_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="lacks the dashboard"):
        serving.app_folder()


def test_start_loads_nothing_heavy():
    code = (
        "import sys; from xaieval.cli import main; "
        "print([m for m in ('torch', 'pandas', 'numpy', 'panel', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reader_that_goes_away_is_no_error():
    code = "import sys; from xaieval.cli import main; main(['list', 'metrics', '--format', 'json'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_errors_carry_no_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def fail(*_: object) -> None:
        raise DataError("damaged picture", where="a.png", fix="fetch it again")

    monkeypatch.setattr("xaieval.study.results.read_manifest", fail)
    found = call("summary", tmp_path)
    assert found.output == "error: a.png: damaged picture. Fetch it again.\n"
