"""CelebAMask-HQ in its published format: small files, whole and broken, read back."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from xaieval.datasets import check, detect_layout, make_splits, open_dataset
from xaieval.datasets.celebamask_files import PartFiles, mask_file
from xaieval.datasets.face_parts import ATTRIBUTES, GROUPS, PARTS, region_names
from xaieval.errors import ConfigError, DataError

SIDE = 32
NUMBERS = (0, 1, 2, 3, 1999, 2000)
ORIGINALS = (119614, 162771, 200122, 81060, 182638, 615)  # train, val, test, train, test, train


def part_mask(number: int, part: str) -> np.ndarray:
    """Rows of an image's part: skin 4 to 20, the others four rows each that overlap skin."""
    mask = np.zeros((SIDE, SIDE), bool)
    k = PARTS.index(part)
    top = 4 if k == 0 else 4 + k
    mask[top : top + (16 if k == 0 else 4), 2 : 20 + number % 3] = True
    return mask


def parts_of(number: int) -> tuple[str, ...]:
    """Image 1 lacks the hat, image 2 all but skin and hair."""
    return {1: PARTS[:-1], 2: ("skin", "hair")}.get(number, PARTS)


def save_mask(path: Path, mask: np.ndarray, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).convert(mode).save(path)


def write(root: Path, *, image_side: int = 2 * SIDE) -> Path:
    """Write the published layout; images of even number have RGB masks."""
    r = np.random.default_rng(0)
    (root / "CelebA-HQ-img").mkdir(parents=True)
    rows, poses = [], []
    mapping = ["idx        orig_idx   orig_file"]
    for number, original in zip(NUMBERS, ORIGINALS, strict=True):
        picture = r.integers(0, 256, (image_side, image_side, 3), np.uint8)
        PIL.Image.fromarray(picture).save(root / "CelebA-HQ-img" / f"{number}.jpg")
        for part in parts_of(number):
            mode = "L" if number % 2 else "RGB"
            save_mask(root / mask_file(number, part), part_mask(number, part), mode)
        values = np.where((np.arange(40) + number) % 3 == 0, 1, -1)
        rows.append(f"{number}.jpg  " + " ".join(map(str, values)))
        poses.append(f"{number}.jpg {number / 10} -3.5 1.25")
        mapping.append(f"{number:<11d}{original - 1:<11d}{original:06d}.jpg")
    head = [str(len(NUMBERS)), " ".join(ATTRIBUTES) + " "]
    save_lines(root / "CelebAMask-HQ-attribute-anno.txt", [*head, *rows])
    save_lines(root / "CelebAMask-HQ-pose-anno.txt", [head[0], "Yaw Pitch Raw", *poses])
    save_lines(root / "CelebA-HQ-to-CelebA-mapping.txt", mapping)
    return root


def save_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "CelebAMask-HQ")


def named(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in check(path, "celebamask-hq"):
        found.setdefault(problem.path.name, []).append(problem.what)
    return found


def test_a_sound_folder(root: Path) -> None:
    assert detect_layout(root) == detect_layout(root.parent) == "celebamask-hq"
    assert check(root) == check(root.parent) == []
    dataset = open_dataset("celebamask-hq", root.parent, strict=True)
    assert dataset.root == root
    assert dataset.task == "multilabel"
    assert dataset.class_names == ATTRIBUTES
    assert dataset.region_names == region_names("face")
    assert set(dataset.ids) == {f"CelebA-HQ-img/{number}" for number in NUMBERS}
    labels = dataset.labels_of("CelebA-HQ-img/2")
    assert np.flatnonzero(labels).tolist() == [k for k in range(40) if (k + 2) % 3 == 0]
    splits = {record.meta["number"]: record.layout_split for record in dataset.records}
    assert [splits[number] for number in NUMBERS] == [
        "train", "val", "test", "train", "test", "train",
    ]  # fmt: skip
    meta = dataset.record("CelebA-HQ-img/1").meta
    assert meta["pose"] == (0.1, -3.5, 1.25)
    assert meta["orig_file"] == "162771.jpg"
    assert meta["missing"] == ("hat",)
    assert meta["mask_files"]["l_eye"] == "CelebAMask-HQ-mask-anno/0/00001_l_eye.png"
    assert "hat" not in meta["mask_files"]
    assert make_splits(dataset).scheme == "layout"


def test_regions_are_what_a_loop_over_pixels_says(root: Path) -> None:
    dataset = open_dataset("celebamask-hq", root)
    for number in NUMBERS:
        sample = dataset[f"CelebA-HQ-img/{number}"]
        assert sample.image.shape == (SIDE, SIDE, 3)
        owner = np.full((SIDE, SIDE), 18)
        for k, part in enumerate(PARTS):  # slowly: the last part that covers a pixel has it
            if part in parts_of(number):
                for y, x in np.argwhere(part_mask(number, part)):
                    owner[y, x] = k
        for k, part in enumerate((*PARTS, "background")):
            np.testing.assert_array_equal(sample.regions[part], owner == k)
        for group, members in GROUPS.items():
            expected = np.zeros((SIDE, SIDE), bool)
            for k in members:
                expected |= owner == k
            np.testing.assert_array_equal(sample.regions[group], expected)
        parts = [sample.regions[part] for part in (*PARTS, "background")]
        assert np.sum(parts, axis=0).min() == np.sum(parts, axis=0).max() == 1
    assert not dataset["CelebA-HQ-img/1"].regions["hat"].any()


def test_size_scales_images_and_masks(root: Path) -> None:
    dataset = open_dataset("celebamask-hq", root, options={"size": 16})
    half = dataset["CelebA-HQ-img/3"]
    whole = open_dataset("celebamask-hq", root)["CelebA-HQ-img/3"]
    assert half.image.shape == (16, 16, 3)
    np.testing.assert_array_equal(half.regions["skin"], whole.regions["skin"][1::2, 1::2])
    means = whole.image.reshape(16, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(half.image - means).mean() < 8  # decoded reduced, not picked
    assert dataset.digest != open_dataset("celebamask-hq", root).digest


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_every_mode(root: Path, mode: str) -> None:
    path = root / mask_file(3, "skin")
    mask = part_mask(3, "skin")
    if mode == "I;16":
        PIL.Image.fromarray(mask.astype(np.uint16) * 65535).save(path)
    else:
        save_mask(path, mask, mode)
    for part in PARTS[1:]:
        (root / mask_file(3, part)).unlink()
    regions = open_dataset("celebamask-hq", root)["CelebA-HQ-img/3"].regions
    np.testing.assert_array_equal(regions["face"], mask)


def test_a_mask_of_ones_and_one_of_another_size(root: Path) -> None:
    PIL.Image.fromarray(part_mask(3, "skin").astype(np.uint8)).save(root / mask_file(3, "skin"))
    large = np.kron(part_mask(3, "hat"), np.ones((2, 2), bool))
    save_mask(root / mask_file(3, "hat"), large)
    regions = open_dataset("celebamask-hq", root)["CelebA-HQ-img/3"].regions
    np.testing.assert_array_equal(regions["hat"], part_mask(3, "hat"))
    assert regions["skin"].any()


def test_default_region_and_has_mask(root: Path) -> None:
    dataset = open_dataset("celebamask-hq", root, options={"region": "hat"})
    assert dataset.region_names[0] == "hat"
    assert len(dataset.region_names) == len(set(dataset.region_names)) == 24
    masked = {record.meta["number"]: record.has_mask for record in dataset.records}
    assert masked == {0: True, 1: False, 2: False, 3: True, 1999: True, 2000: True}
    with pytest.raises(ConfigError, match="'hat'"):
        open_dataset("celebamask-hq", root, options={"region": "hut"})


def test_records_travel_to_other_processes(root: Path) -> None:
    record = open_dataset("celebamask-hq", root).records[0]
    again = pickle.loads(pickle.dumps(record))
    np.testing.assert_array_equal(again.sample().image, record.sample().image)
    assert dict(again.meta["mask_files"]) == dict(record.meta["mask_files"])


def test_single_labels_and_no_labels(root: Path) -> None:
    single = open_dataset("celebamask-hq", root, options={"attribute": "Smiling"})
    assert single.task == "single"
    assert single.class_names == ("not Smiling", "Smiling")
    many = open_dataset("celebamask-hq", root)
    for sample in many.ids:
        assert single.label_of(sample) == many.labels_of(sample)[ATTRIBUTES.index("Smiling")]
    few = open_dataset("celebamask-hq", root, options={"attributes": ["Young", "Bald"]})
    assert few.class_names == ("Young", "Bald")
    for sample in many.ids:
        assert few.labels_of(sample).tolist() == many.labels_of(sample)[[39, 4]].tolist()
    (root / "CelebAMask-HQ-attribute-anno.txt").unlink()
    none = open_dataset("celebamask-hq", root, options={"labels": "none"})
    assert none.class_names == ("face",)
    assert len(none) == len(NUMBERS)


@pytest.mark.parametrize(
    "options",
    [
        {"attribute": "Smiling", "attributes": ["Bald"]},
        {"attribute": "Smiley"},
        {"attributes": ["Bald", "Bald"]},
        {"attributes": "Bald"},
        {"attributes": []},
        {"bias": "Bald"},
        {"attribute": "Bald", "bias": "Bald"},
        {"attribute": "Smiling", "bias": "Bald", "bias_rate": 0.4},
        {"labels": "none", "attribute": "Smiling"},
        {"labels": "some"},
        {"split": "random"},
        {"samples": 0},
        {"size": 4},
        {"size": True},
        {"test_share": 1},
        {"colour": 1},
    ],
)
def test_bad_options(root: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        open_dataset("celebamask-hq", root, options=options)


def test_samples_are_nested_and_splits_seeded(root: Path) -> None:
    def drawn(**options: object) -> dict[str, set[str]]:
        dataset = open_dataset("celebamask-hq", root, options=options)
        found: dict[str, set[str]] = {"train": set(), "test": set()}
        for record in dataset.records:
            found["test" if record.layout_split == "test" else "train"].add(record.id)
        return found

    everything, one = drawn(), drawn(samples=1, train_samples=2)
    assert (len(one["test"]), len(one["train"])) == (1, 2)
    assert one["test"] < everything["test"]
    assert one["train"] < drawn(train_samples=3)["train"] < everything["train"]
    assert drawn(samples=1) == drawn(samples=1)
    half = drawn(split="digest", test_share=0.5)
    assert len(half["test"]) == 3
    assert len({frozenset(drawn(split="digest", split_seed=s)["test"]) for s in range(12)}) > 1


def test_the_partition_file_decides_where_it_is_there(root: Path) -> None:
    codes = [f"{n:06d}.jpg {k}" for n, k in zip(ORIGINALS, (2, 2, 0, 0, 1, 0), strict=True)]
    save_lines(root / "list_eval_partition.txt", codes)
    dataset = open_dataset("celebamask-hq", root, strict=True)
    splits = {record.meta["number"]: record.layout_split for record in dataset.records}
    assert splits == {0: "test", 1: "test", 2: "train", 3: "train", 1999: "val", 2000: "train"}


def test_without_mapping_the_split_is_drawn(root: Path) -> None:
    (root / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    (root / "CelebAMask-HQ-pose-anno.txt").unlink()
    dataset = open_dataset("celebamask-hq", root)
    assert Counter(record.layout_split for record in dataset.records) == {"train": 5, "test": 1}
    assert [problem.left_out for problem in dataset.problems] == [False, False]
    with pytest.raises(DataError, match="no official split"):
        open_dataset("celebamask-hq", root, options={"split": "official"})


def test_the_digest_is_of_names_sizes_and_labels(root: Path) -> None:
    first = open_dataset("celebamask-hq", root).digest
    assert open_dataset("celebamask-hq", root).digest == first
    (root / mask_file(3, "hat")).unlink()
    without = open_dataset("celebamask-hq", root).digest
    assert without != first
    path = root / "CelebAMask-HQ-attribute-anno.txt"
    lines = lines_of(path)
    lines[2] = lines[2].replace("  1 ", "  -1 ")
    save_lines(path, lines)
    assert open_dataset("celebamask-hq", root).digest != without


def test_every_broken_file_is_named(root: Path) -> None:
    images, masks = root / "CelebA-HQ-img", root / "CelebAMask-HQ-mask-anno"
    (images / "3.jpg").write_bytes((images / "3.jpg").read_bytes()[:900])
    shutil.copy(images / "0.jpg", images / "0007.jpg")
    (images / "readme.txt").write_text("text")
    damaged = root / mask_file(0, "skin")
    damaged.write_bytes(damaged.read_bytes()[:60])
    shutil.move(root / mask_file(2000, "hat"), masks / "0" / "02000_hat.png")
    shutil.copy(root / mask_file(1, "skin"), masks / "0" / "00001_chin.png")
    shutil.copy(root / mask_file(1, "skin"), masks / "0" / "00005_skin.png")
    (masks / "extra").mkdir()
    for part in parts_of(2):
        (root / mask_file(2, part)).unlink()
    found = named(root)
    assert found.pop("3.jpg")[0].startswith("damaged image")
    assert found.pop("00000_skin.png")[0].startswith("damaged image")
    assert found == {
        "CelebA-HQ-img": [
            "not an image of this layout: 0007.jpg",
            "not an image of this layout: readme.txt",
        ],
        "CelebAMask-HQ-mask-anno": [
            "image without any mask: 2.jpg",
            "mask in the wrong folder: 0/02000_hat.png",
            "mask without image: 0/00005_skin.png",
            "not a folder of masks: extra",
            "not a mask of this layout: 0/00001_chin.png",
        ],
    }
    dataset = open_dataset("celebamask-hq", root)
    assert dataset["CelebA-HQ-img/2"].regions == {}
    assert not dataset.record("CelebA-HQ-img/2").has_mask
    assert not dataset["CelebA-HQ-img/2000"].regions["hat"].any()


def test_a_truncated_image_says_its_name_when_read(root: Path) -> None:
    path = root / "CelebA-HQ-img" / "3.jpg"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match="damaged image") as caught:
        _ = open_dataset("celebamask-hq", root)["CelebA-HQ-img/3"].image
    assert caught.value.where == path


def test_broken_annotations_are_named_line_by_line(root: Path) -> None:
    path = root / "CelebAMask-HQ-attribute-anno.txt"
    lines = lines_of(path)
    lines[0] = "30000"
    lines[2] += " 1"  # 0.jpg has 41 values
    lines[3] = lines[3].replace(" 1", " 0", 1)  # 1.jpg
    lines[4] = lines[4].replace("2.jpg", "77.jpg")
    save_lines(path, [*lines, lines[5]])  # 3.jpg twice
    pose = root / "CelebAMask-HQ-pose-anno.txt"
    save_lines(pose, [*lines_of(pose)[:-1], "2000.jpg 1.0 2.0"])
    mapping = root / "CelebA-HQ-to-CelebA-mapping.txt"
    save_lines(mapping, [*lines_of(mapping)[:-1], "2000 oops"])
    found = named(root)
    assert sorted(found[path.name]) == [
        "line 3 (0.jpg) has 41 values for 40 attributes",
        "line 4 (1.jpg) has the value '0'",
        "line 9: 3.jpg for the second time",
        "line without image in CelebA-HQ-img: 77.jpg",
        "the first line says 30000 images, there are 7 lines",
    ]
    assert sorted(found["CelebA-HQ-img"]) == [
        f"image without a line in {path.name}: {name}" for name in ("0.jpg", "1.jpg", "2.jpg")
    ]
    assert found[pose.name] == ["line 8 is no pose: '2000.jpg 1.0 2.0'"]
    assert found[mapping.name] == ["line 7 is no mapping: '2000 oops'"]
    assert len(open_dataset("celebamask-hq", root)) == 3


def test_many_faults_of_a_kind_are_one_problem(root: Path) -> None:
    path = root / "CelebAMask-HQ-attribute-anno.txt"
    lines = lines_of(path)
    more = [lines[2].replace("0.jpg", f"{n}.jpg") for n in range(5000, 5100)]
    save_lines(path, [str(len(NUMBERS) + 100), *lines[1:], *more])
    (problem,) = open_dataset("celebamask-hq", root).problems
    assert problem.what == (
        "line without image in CelebA-HQ-img, 100 times: 5000.jpg, 5001.jpg, 5002.jpg, …"
    )


def test_what_is_missing_altogether_is_named(root: Path, tmp_path: Path) -> None:
    attributes = root / "CelebAMask-HQ-attribute-anno.txt"
    text = attributes.read_text()
    attributes.write_text("no count\n")
    with pytest.raises(DataError, match="number of images in the first line"):
        open_dataset("celebamask-hq", root)
    attributes.unlink()
    with pytest.raises(DataError, match="no attribute file CelebAMask-HQ-attr"):
        open_dataset("celebamask-hq", root)
    assert named(root) == {"CelebAMask-HQ": ["no attribute file CelebAMask-HQ-attribute-anno.txt"]}
    attributes.write_text(text)
    shutil.rmtree(root / "CelebAMask-HQ-mask-anno")
    with pytest.raises(DataError, match="no folder CelebAMask-HQ-mask-anno"):
        open_dataset("celebamask-hq", root)
    with pytest.raises(DataError, match="no folder CelebA-HQ-img"):
        open_dataset("celebamask-hq", tmp_path / "CelebAMask-HQ" / "CelebA-HQ-img")


def test_part_files_are_a_mapping() -> None:
    files = PartFiles(12345, 0b100000000000000001)
    assert len(files) == 2
    assert dict(files) == {
        "skin": "CelebAMask-HQ-mask-anno/6/12345_skin.png",
        "hat": "CelebAMask-HQ-mask-anno/6/12345_hat.png",
    }
    with pytest.raises(KeyError):
        _ = files["nose"]
