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
from xaieval.progress import Progress


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
    assert methods["integrated_gradients"]["cost"] == 25


@pytest.mark.parametrize("table", ["methods", "metrics", "datasets", "models", "studies"])
def test_lists_are_json_that_every_reader_takes(table: str):
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(call("list", table, "--format", "json").output, parse_constant=refuse)


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


def test_progress_on_a_terminal_and_elsewhere(capsys: pytest.CaptureFixture[str]):
    from xaieval.cli.progress import _Bars, _Lines

    bars, lines = _Bars(), _Lines()
    for model in range(2):
        for report in (bars, lines):
            report(Progress("models", model, 2, 1.0))
            report(Progress("read images", 4, 4, 1.0))
            report(Progress(f"train seed {model}", 1, 4, 1.0, "epoch 1 of 4"))
            report(Progress(f"train seed {model}", 2, 4, 1.0, "epoch 2 of 4"))
    bars.close()
    shown = capsys.readouterr().err
    assert "models:  50%" in shown
    assert "train seed 1:  50%" in shown
    assert "epoch 2 of 4]" in shown
    told = [line for line in shown.splitlines() if line.startswith("train seed 0: 1 of 4")]
    assert told == ["train seed 0: 1 of 4, 3 s left, epoch 1 of 4"]
    assert "train seed 0: 2 of 4" not in shown  # twenty seconds have not passed


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


STUDY = """
schema = 1
[study]
id = "tiny"
title = "Tiny nuts"
[data]
name = "synthetic-hazelnut"
options = { n_per_class = 3, size = 48 }
split_scheme = "stratified"
[model]
arch = "small-cnn"
input_size = [48, 48]
[train]
seeds = [1, 2]
epochs = 1
batch = 5
[explain]
methods = ["gradcam", "saliency", "random"]
[score]
metrics = ["topk_overlap", "area_share"]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = call("train", "tiny.toml", "--device", "cpu")
    assert found.exit_code == 0, found.output
    assert "2 trained models in results/tiny/checkpoints" in found.output
    assert "train seed 2" in found.output
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(trained)
    return trained


def test_run_and_summary(here: Path):
    found = call("run", "tiny.toml", "--device", "cpu", "--seeds", "1")
    assert found.exit_code == 0, found.output
    assert "results in results/tiny" in found.output
    found = call("run", "tiny.toml", "--device", "cpu")
    assert found.exit_code == 0, found.output
    summary = json.loads(call("summary", "results/tiny", "--format", "json").output)
    assert {row["n_seeds"] for row in summary["accuracy"]} == {2}
    rows = [row for row in summary["win_rates"] if row["class"] == "overall"]
    assert {row["method_id"] for row in rows} == {"gradcam", "saliency", "random"}
    assert "Tiny nuts" in call("summary", "results/tiny").output
    found = call("run", "tiny.toml", "--device", "nonsense", "--out", "results/tiny")
    assert found.exit_code == 0  # nothing is left to compute, so no device is asked for
    (here / "other.toml").write_text(STUDY.replace("epochs = 1", "epochs = 2"))
    found = call("train", "other.toml", "--out", "results/tiny")
    assert found.exit_code == 2
    assert "epochs 1 instead of 2" in found.output
    assert call("train", "tiny.toml", "--device", "cpu").exit_code == 0


def test_explain_one_image(here: Path, tmp_path: Path):
    import numpy as np
    from PIL import Image

    from xaieval.datasets import open_dataset

    sample = open_dataset("synthetic-hazelnut", options={"n_per_class": 1, "size": 64})["hole/000"]
    Image.fromarray(sample.image).save(tmp_path / "nut ä.png")
    Image.fromarray(sample.regions["defect"]).save(tmp_path / "mask.png")
    base = ["explain", tmp_path / "nut ä.png", "--checkpoint"]
    base += [here / "results/tiny/checkpoints/seed-1.safetensors", "--device", "cpu"]
    methods = ["--methods", "gradcam,integrated_gradients[n_steps=2]"]
    found = call(
        *base,
        *methods,
        "--mask",
        tmp_path / "mask.png",
        "--target",
        "hole",
        "--out",
        tmp_path / "o",
    )
    assert found.exit_code == 0, found.output
    written = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert written == [
        "gradcam-overlay.png",
        "gradcam-topk.png",
        "integrated_gradients_n_steps=2-overlay.png",
        "integrated_gradients_n_steps=2-topk.png",
        "maps.npz",
        "picture.png",
        "scores.json",
    ]
    content = json.loads((tmp_path / "o" / "scores.json").read_text())
    assert content["target"] == "hole"
    assert sum(content["probabilities"].values()) == pytest.approx(1)
    scores = content["methods"]["integrated_gradients[n_steps=2]"]["scores"]
    share = content["mask_size_px"] / (48 * 48)
    assert scores["area_share"]["value"] == pytest.approx(share)
    ceilings = ["--mask", tmp_path / "mask.png", "--metrics", "ceiling,mass_accuracy"]
    graded = call(*base, *methods, *ceilings, "--out", tmp_path / "graded")
    assert graded.exit_code == 0, graded.output
    content = json.loads((tmp_path / "graded" / "scores.json").read_text())
    best = {key: it["scores"]["ceiling"]["value"] for key, it in content["methods"].items()}
    assert best["gradcam"] < 0.9  # cells of 16 px cannot fit into a small hole
    assert best["integrated_gradients[n_steps=2]"] == 1  # every pixel by itself
    with np.load(tmp_path / "o" / "maps.npz") as maps:
        assert set(maps) == {"gradcam", "integrated_gradients[n_steps=2]"}
        assert maps["gradcam"].shape == (48, 48)
    plain = call(*base, *methods, "--out", tmp_path / "plain")
    assert plain.exit_code == 0, plain.output
    assert not list((tmp_path / "plain").glob("*topk*"))
    keys = ["--metrics", "iou,deletion@fill=mean,steps=4,falsification_margin@k=2"]
    asked = call(*base, *methods, *keys, "--out", tmp_path / "asked")
    assert asked.exit_code == 0, asked.output
    content = json.loads((tmp_path / "asked" / "scores.json").read_text())
    scores = content["methods"]["gradcam"]["scores"]
    assert set(scores) == {
        "deletion@fill=mean,steps=4",
        "falsification_margin@k=2",
    }  # no mask, no IoU
    assert 0 <= scores["deletion@fill=mean,steps=4"]["value"] <= 1
    for option, value, words in (
        ("--target", "hol", "Did you mean 'hole'"),
        ("--k", "99999", "K is larger than the picture"),
        ("--metrics", "auroc2", "Did you mean 'auroc'"),
        ("--mask", tmp_path / "none.png", "none.png"),
        ("--mask", here / "tiny.toml", "tiny.toml"),
    ):
        bad = call(*base, *methods, option, value, "--out", tmp_path / "bad")
        assert bad.exit_code == 2, bad.output
        assert words in bad.output
        assert not (tmp_path / "bad").exists()


def test_data_check_and_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import numpy as np
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / "set" / "images" / name).mkdir(parents=True)
        (tmp_path / "set" / "masks" / name).mkdir(parents=True)
        for number in range(2):
            picture = np.full((8, 8, 3), number, np.uint8)
            Image.fromarray(picture).save(tmp_path / f"set/images/{name}/{number}.png")
            mask = np.eye(8, dtype=bool)
            Image.fromarray(mask).save(tmp_path / f"set/masks/{name}/{number}.png")
    assert call("data", "check", tmp_path / "set").exit_code == 0
    (tmp_path / "set/images/a/1.png").write_text("text")
    found = call("data", "check", tmp_path / "set")
    assert found.exit_code == 1
    assert "1.png" in found.output
    fetched: list[tuple[object, ...]] = []

    def fetch(name: str, target: Path, *, base_url: str, report: object) -> Path:
        fetched.append((name, target, base_url))
        return target

    monkeypatch.setattr("xaieval.datasets.fetch", fetch)
    found = call("data", "get", "hazelnut-toy", "--to", tmp_path, "--base-url", "http://x")
    assert found.exit_code == 0, found.output
    assert fetched == [("hazelnut-toy", tmp_path, "http://x")]
    assert "synthetic-hazelnut" in call("data", "list").output


def test_cache_info_and_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import numpy as np

    from xaieval.cache import HeatmapCache

    monkeypatch.setenv("XAIEVAL_CACHE", str(tmp_path))
    HeatmapCache().put("ab" * 32, {"map": np.zeros((300, 300), np.float32)})
    assert "0.4 MB" in call("cache", "info").output
    assert "0.4 MB freed" in call("cache", "clear").output
    assert "0.0 MB" in call("cache", "info").output


def test_the_plan_is_printed_and_nothing_runs(here: Path, tmp_path: Path):
    found = call(
        "explain",
        tmp_path / "absent.png",
        "--checkpoint",
        here / "results/tiny/checkpoints/seed-1.safetensors",
        "--methods",
        "gradcam,saliency,gradient_x_input,smoothgrad,vargrad,integrated_gradients,random",
        "--plan",
    )
    assert found.exit_code == 0, found.output
    assert "1 forward + 1 backward" in found.output
    assert "noisy samples: smoothgrad, vargrad" in found.output
    assert "forward + backward rows: 76 shared, 128 one method at a time" in found.output
    base = ["explain", tmp_path / "absent.png", "--plan", "--checkpoint"]
    base.append(here / "results/tiny/checkpoints/seed-1.safetensors")
    cams = call(*base, "--methods", "ablation_cam").output
    assert cams.startswith("1 method, rows")
    assert "from the target layer on, ablated channels: ablation_cam" in cams
    backward = call(*base, "--methods", "deeplift,guided_backprop,deconvnet,lrp").output
    counted = {line.split(": ")[-1]: line.split("  ")[1] for line in backward.splitlines()[1:-1]}
    assert counted == {
        "deeplift": "2 forward + 1 backward",
        "guided_backprop, deconvnet": "1 forward + 2 backward",
        "lrp": "1 forward + 1 backward",
    }
    bad = call(*base, "--upsampling", "aligne")
    assert bad.exit_code == 2
    assert "Did you mean 'aligned'?" in bad.output
