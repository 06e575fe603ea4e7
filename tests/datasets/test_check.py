"""check names every faulty file of a folder, and nothing of a good one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from xaieval.datasets import Problem, check
from xaieval.errors import ConfigError


def named(problems: list[Problem], root: Path) -> dict[str, str]:
    return {problem.path.relative_to(root).as_posix(): problem.what for problem in problems}


def test_good_folders_have_no_problem(tmp_path: Path, draw: SimpleNamespace) -> None:
    assert check(draw.mvtec_standard(tmp_path / "standard")) == []
    assert check(draw.mvtec_standard(tmp_path / "plain", marked=False)) == []
    assert check(draw.mvtec_resplit(tmp_path / "resplit")) == []
    assert check(draw.leaves(tmp_path / "leaves"), "coffee-leaf") == []


def test_every_fault_is_named(tmp_path: Path, draw: SimpleNamespace) -> None:
    root = draw.mvtec_standard(tmp_path / "my nuts", n=6)
    test, truth = root / "test", root / "ground_truth"
    (truth / "crack" / "000_mask.png").unlink()
    draw.mask(truth / "crack" / "001_mask.png", size=(3, 3), box=(0, 0, 1, 1))
    draw.mask(truth / "crack" / "002_mask.png", box=(0, 0, 0, 0))
    (test / "crack" / "003.png").write_bytes((test / "crack" / "003.png").read_bytes()[:200])
    (test / "crack" / "004.png").write_text("text")
    (test / "crack" / "005.png").write_bytes(b"")
    damaged = truth / "cut" / "000_mask.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    draw.mask(truth / "cut" / "gone_mask.png")
    draw.image(test / "cut" / "001.jpg")
    draw.image(test / "cut" / "straße ü.png")
    draw.mask(truth / "cut" / "straße ü_mask.png")
    found = named(check(root), root)
    assert found.pop("test/crack/003.png").startswith("damaged image")
    assert found.pop("ground_truth/cut/000_mask.png").startswith("damaged image")
    assert found == {
        "test/crack/000.png": "missing mask",
        "ground_truth/crack/001_mask.png": (
            "mask of another size: 3 x 3 for an image of 12 x 8 pixels (001.png)"
        ),
        "ground_truth/crack/002_mask.png": (
            "empty mask: no pixel of region 'defect' in an image of class 'crack'"
        ),
        "test/crack/004.png": "not an image (text)",
        "test/crack/005.png": "empty file (0 bytes)",
        "ground_truth/cut/gone_mask.png": "mask without image",
        "test/cut/001.png": "same id as 001.jpg",
    }


def test_a_folder_where_all_is_faulty_names_all(tmp_path: Path) -> None:
    home = tmp_path / "images" / "a"
    home.mkdir(parents=True)
    for stem in ("x", "y"):
        (home / f"{stem}.png").write_text("text")
    assert set(named(check(tmp_path), tmp_path)) == {"images/a/x.png", "images/a/y.png"}


def test_one_class_no_images_no_folder(tmp_path: Path, draw: SimpleNamespace) -> None:
    draw.image(tmp_path / "one" / "images" / "nut" / "x.png")
    (problem,) = check(tmp_path / "one")
    assert problem.path == tmp_path / "one"
    assert problem.what == "folder with one class (nut)"
    (tmp_path / "none" / "images" / "nut").mkdir(parents=True)
    (problem,) = check(tmp_path / "none", "folder")
    assert "class folder without images" in problem.what
    (problem,) = check(tmp_path / "none")
    assert "no known layout" in problem.what
    (problem,) = check(tmp_path / "nowhere")
    assert "no such folder" in problem.what
    with pytest.raises(ConfigError):
        check(tmp_path, "mvtek")


def test_empty_masks_of_a_good_class_are_fine(tmp_path: Path, draw: SimpleNamespace) -> None:
    for name, box in (("Good", (0, 0, 0, 0)), ("bad", (0, 0, 0, 0))):
        draw.image(tmp_path / "images" / name / "x.png")
        draw.mask(tmp_path / "masks" / name / "x.png", box=box)
    assert set(named(check(tmp_path), tmp_path)) == {"masks/bad/x.png"}


def test_real_folders_are_in_order(real_data: Path) -> None:
    assert check(real_data / "hazelnut_toy") == []
