"""Regional attribution: hand-made scores, and a tiny run from end to end."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from xaieval.datasets import ATTRIBUTE_REGIONS, open_dataset, write_faces
from xaieval.outcomes import read_outcome
from xaieval.reproduce import Setup, run_experiment
from xaieval.reproduce.celebamask_regions import attributes, claims, pairs, plans, twins
from xaieval.reproduce.celebamask_regions.findings import (
    by_study_rule,
    first_parts,
    of_random,
    random_classes,
    tells_area,
)
from xaieval.reproduce.celebamask_regions.measured import (
    Measured,
    deciding,
    lifts,
    specific,
    with_inverse,
)
from xaieval.reproduce.celebamask_regions.plans import CLASSES, REGIONS
from xaieval.reproduce.celebamask_regions.shown import mask_region
from xaieval.reproduce.celebamask_regions.twins import drawn_pairs, real_pairs
from xaieval.stats.correlation import correlation

KNOWN = {claim.id: claim for claim in claims.ATTRIBUTES}


def scores(values, *, method="gradcam", image="a", attribute="Smiling", seed=1, correct=True):
    """Rows of precision (%) and area share of some regions of one map."""
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "sample_id": f"{image}@{attribute}",
                "image": image,
                "class": attribute,
                "correct": correct,
                "method_id": method,
                "region": region,
                "value": value,
                "reason": None,
                "area": area,
            }
            for region, (value, area) in values.items()
        ]
    )


def test_the_deciding_region_sums_its_parts():
    found = deciding(
        scores({"mouth": (5.0, 0.01), "u_lip": (7.0, 0.02), "l_lip": (np.nan, 0.0)}).pipe(
            lambda f: pd.concat([f, scores({"hair": (60.0, 0.3)})])
        )
    )
    assert found[["value", "share"]].to_numpy().tolist() == [[12.0, pytest.approx(3.0)]]


def test_a_zero_map_has_no_precision_of_the_deciding_region():
    found = deciding(scores({"mouth": (np.nan, 0.01), "u_lip": (np.nan, 0.02)}))
    assert np.isnan(found["value"][0])


def test_lift_is_a_ratio_of_sums():
    frame = pd.concat([scores({"nose": (2.0, 0.01)}), scores({"nose": (6.0, 0.03)}, image="b")])
    assert lifts(frame, CLASSES)["lift"].tolist() == [pytest.approx(2.0)]


@pytest.mark.parametrize("within", [True, False])
def test_a_region_where_it_decides_against_where_another_does(within):
    frame = pd.concat(
        [
            scores({"hair": (50.0, 0.3), "nose": (1.0, 0.01)}, attribute="Bangs"),
            scores({"hair": (35.0, 0.3), "nose": (4.0, 0.01)}, attribute="Big_Nose"),
            scores({"hair": (90.0, 0.3), "nose": (1.0, 0.01)}, attribute="Blond_Hair"),
        ]
    )
    found = specific(frame, within_image=within).set_index("class")
    assert found.loc["Bangs", ["own", "others", "value"]].tolist() == pytest.approx([20, 5, 15])
    assert found.loc["Big_Nose", ["own", "others", "value"]].tolist() == pytest.approx([3, 0, 3])


def test_every_region_is_of_the_study():
    assert len(CLASSES) == 19
    assert len(REGIONS) == 24
    assert set(plans.PRINTED) < set(REGIONS)
    assert mask_region("Wearing_Lipstick") == "u_lip"


def test_the_part_of_highest_lift_and_its_share_under_resampling():
    decisive = {"Smiling": "mouth", "Bangs": "nose"}  # right, wrong
    frame = pd.concat(
        scores({part: (9.0, 0.01), "skin": (40.0, 0.4)}, image=image, attribute=attribute)
        for attribute, part in decisive.items()
        for image in "abc"
    )
    first, hits = first_parts(frame)
    assert first == decisive
    assert (hits["share"].dropna() == 0.5).all()


def random_scores(areas, *, n=40, biased=0.0):
    generator = np.random.default_rng(0)
    rows = []
    for number in range(n):
        values = {
            name: (100 * area + biased + generator.normal(0, 0.2), area)
            for name, area in areas.items()
        }
        rows.append(scores(values, method="random", image=f"i{number}"))
    table = pd.concat(rows, ignore_index=True)
    return Measured({"regional_precision": table}, table, {})


def test_random_scores_the_area_share_and_not_one_nineteenth():
    areas = {"hair": 0.3, "nose": 0.01, "background": 0.5}
    classes = random_classes(random_scores(areas))
    wrong, right = of_random(KNOWN, classes)
    assert wrong.verdict == "does not hold"
    assert wrong.unit.startswith("precision in background")
    assert "0 of 3" in wrong.why
    assert right.verdict == "holds"
    moved = random_classes(random_scores(areas, biased=1.0))
    assert of_random(KNOWN, moved)[1].verdict == "does not hold"


def test_five_points_are_judged_by_the_studys_rule():
    claim = KNOWN["correlation-methods"]
    strong = by_study_rule(claim, correlation([1, 2, 3, 4, 5], [9, 7, 5.2, 3, 1]), "methods")
    weak = by_study_rule(claim, correlation([1, 2, 3, 4, 5], [5, 3, 4, 2, 1.5]), "methods")
    assert (strong.verdict, weak.verdict) == ("holds", "does not hold")
    assert "appendix" in weak.why
    flat = by_study_rule(claim, correlation([1, 1, 1], [1, 2, 3]), "methods")
    assert flat.verdict == "cannot be tested here"


def test_inverted_maps_exchange_the_sets():
    from xaieval.metrics import score
    from xaieval.metrics.evaluator import Subject

    torch = pytest.importorskip("torch")

    class Evaluator:
        rows = 16

        def __init__(self):
            generator = torch.Generator().manual_seed(0)
            self.weights = torch.randn(3 * 64, 4, generator=generator)
            x = torch.rand(3, 3, 8, 8, generator=generator)
            ends = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
            self.subjects = [Subject(f"s{i}", x[i], *ends, 0, 0) for i in range(3)]

        def logits(self, rows, images):
            return rows.reshape(len(rows), -1) @ self.weights

    maps = np.random.default_rng(1).random((3, 8, 8)).astype(np.float32)
    keys = ["falsification@k=6", "falsification_margin@k=6"]
    upright, inverted = (
        score(values, metrics=keys, evaluator=Evaluator()) for values in (maps, 1 - maps)
    )
    table = with_inverse(pd.DataFrame({"margin": upright[keys[1]]}))
    np.testing.assert_allclose(inverted[keys[1]], -upright[keys[1]], atol=1e-9)
    assert table["inverted"].tolist() == inverted[keys[0]].tolist()


def test_the_papers_verdict_against_the_sizes():
    table = pd.DataFrame(
        {
            "seed": 1,
            "sample_id": list("abcd"),
            "image": list("abcd"),
            "method_id": "gradcam",
            "falsified": [1.0, 1.0, 0.0, 0.0],
            "high": [0.1, 0.1, 0.5, 0.1],
            "low": [0.8, 0.8, 0.2, 0.8],
        }
    )
    measured = Measured({}, table, {"paper": table})
    assert tells_area(KNOWN["paper-rule-tells-area"], measured).value == pytest.approx(0.75)


def test_a_folder_is_refused_where_faces_are_drawn(tmp_path):
    from xaieval.errors import ConfigError

    setup = Setup(out=tmp_path / "out", size="tiny", data=tmp_path)
    with pytest.raises(ConfigError, match="draws its own faces"):
        attributes.run(setup)


def test_twins_differ_in_their_deciding_parts_alone():
    for pair in drawn_pairs(plans.Drawn(10, 64), 20):
        changed = (pair.a.image != pair.b.image).any(-1)
        parts = np.logical_or.reduce(
            [face.regions[part] for face in (pair.a, pair.b) for part in _decides(pair.attribute)]
        )
        assert changed.any()
        # Mixed pixels along the edges of the parts change too.
        near = np.pad(parts, 1)
        near = np.logical_or.reduce(
            [np.roll(near, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        )[1:-1, 1:-1]
        assert near[changed].mean() > 0.9, pair.id


def _decides(attribute):
    return ATTRIBUTE_REGIONS[attribute]


def test_the_fewer_twins_are_among_the_more():
    few, more = (drawn_pairs(plans.Drawn(10, 32), n) for n in (3, 25))
    assert [pair.id for pair in few] == [pair.id for pair in more][:3]
    assert len({pair.id for pair in more}) == 25


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces") / "CelebAMask-HQ", n=60, size=32, seed=3)


def test_photographs_are_paired_by_their_annotation(folder, tmp_path):
    faces = tmp_path / "faces"
    shutil.copytree(folder, faces)
    table = faces / "CelebAMask-HQ-attribute-anno.txt"
    lines = table.read_text().splitlines()
    names = lines[1].split()
    smiling = names.index("Smiling")

    def change(number, values):
        lines[2 + number] = f"{number}.jpg  {' '.join(values)}"

    base = lines[2 + 4].split()[1:]
    base[smiling] = "1"
    change(4, base)
    change(9, [*base[:smiling], "-1", *base[smiling + 1 :]])
    table.write_text("\n".join(lines) + "\n")
    found = real_pairs(open_dataset("celebamask-hq", faces, options={"size": 32}), 10)
    smiles = [pair for pair in found if pair.attribute == "Smiling"]
    assert [(p.a.id, p.b.id) for p in smiles] == [("CelebA-HQ-img/4", "CelebA-HQ-img/9")]


def test_pairs_are_scored_once_and_kept(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from xaieval.backend import Backend
    from xaieval.models import Classifier, ModelConfig, Preprocessing, build, pair_classifier
    from xaieval.reproduce.celebamask_regions import compared

    net = build(ModelConfig(arch="small-cnn", n_classes=3, input_size=(32, 32), decoder=False))
    half = (0.5, 0.5, 0.5)
    model = Classifier(net.eval(), preprocessing=Preprocessing((32, 32), mean=half, std=half))
    monkeypatch.setattr(compared, "comparer", lambda path: pair_classifier(model))
    monkeypatch.setenv("XAIEVAL_CACHE", str(tmp_path / "cache"))
    settings = dataclasses.replace(
        plans.SIZES["tiny"], drawn=plans.Drawn(10, 32), n_samples=40, n_segments=9, k=2
    )
    two = drawn_pairs(settings.drawn, 2)

    def rows():
        backend = Backend("cpu")
        try:
            return compared.compare(
                two,
                {1: tmp_path},
                settings,
                folder=tmp_path / "kept",
                backend=backend,
                report=lambda progress: None,
            )
        finally:
            backend.close()

    found = rows()
    measured = compared.measured_pairs(found, settings)
    assert measured.methods[0] == "gradcam"
    assert measured.key("lime").count("pooling") == 0
    assert len(measured.methods) == 9
    own = measured.precision[measured.precision["region"].isin(CLASSES)]
    sums = own.groupby(["sample_id", "method_id"])["value"].sum(min_count=1).dropna()
    np.testing.assert_allclose(sums, 100, rtol=1e-5)
    cosines = found.loc[found["metric"] == "cosine", "value"]
    assert cosines.between(0, 1).all()
    (file,) = (tmp_path / "kept/seed-1").iterdir()
    then = file.stat().st_mtime_ns
    pd.testing.assert_frame_equal(rows(), found)
    assert file.stat().st_mtime_ns == then


@pytest.mark.slow
def test_the_whole_forms_on_a_folder_of_their_layout(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XAIEVAL_CACHE", str(tmp_path / "cache"))
    settings = dataclasses.replace(
        plans.SIZES["tiny"],
        drawn=None,
        input_px=32,
        seeds=(42,),
        epochs=1,
        images=2,
        pairs=4,
        k=2,
        n_samples=40,
        n_segments=9,
    )
    setup = Setup(out=tmp_path / "attributes", size="whole", device="cpu", data=folder)
    outcome = attributes.run_settings(setup, settings)
    assert {f.claim.id for f in outcome.findings} == {c.id for c in attributes.SPEC.claims}
    setup = Setup(out=tmp_path / "pairs", size="whole", device="cpu", data=folder)
    found = [drawn_pairs(plans.Drawn(10, 32), 4)]
    monkeypatch.setattr(twins, "real_pairs", lambda dataset, count: found[0][:count])
    outcome = pairs.run_settings(setup, settings)
    assert {f.claim.id for f in outcome.findings} == {c.id for c in pairs.SPEC.claims}
    checkpoint = "checkpoints/seed-42.safetensors"
    own, other = (
        tmp_path / "pairs/studies/classifier" / checkpoint,
        tmp_path / "attributes/studies/attributes" / checkpoint,
    )
    assert own.read_bytes() == other.read_bytes(), "trained once for both"
    assert own.stat().st_mtime_ns >= other.stat().st_mtime_ns


@pytest.mark.slow
def test_a_tiny_run_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIEVAL_CACHE", str(tmp_path / "cache"))
    setup = Setup(out=tmp_path / "out", size="tiny", device="cpu", command=("xaieval", "reproduce"))
    experiment = run_experiment(attributes.SPEC, setup)
    outcome = experiment.outcome
    assert {f.claim.id for f in outcome.findings} == {c.id for c in attributes.SPEC.claims}
    published = next(f for f in outcome.findings if f.claim.id == "published-correlation")
    assert published.verdict == "cannot be tested here"
    table = (tmp_path / "out/tables/table.tex").read_text()
    assert all(name in table for name in ("Method", "FR", "Eyes", "Nose", "Mouth", "Face"))
    by_method = outcome.facts["regional_precision"]
    hair = by_method["random"]["hair"]
    assert hair["mean"] == pytest.approx(100 * hair["area"], rel=0.1)
    assert set(by_method["gradcam"]) == set(REGIONS)
    assert (tmp_path / "out/pictures/parts.png").is_file()
    parts = tmp_path / "out/studies/attributes"
    before = {p: p.stat().st_mtime_ns for p in parts.rglob("*.parquet")}
    fewer = Setup(out=tmp_path / "out", size="tiny", device="cpu", samples=2)
    again = run_experiment(attributes.SPEC, fewer)
    assert before == {p: p.stat().st_mtime_ns for p in parts.rglob("*.parquet")}
    assert max(row["n"] for row in again.outcome.facts["random"]) < max(
        row["n"] for row in outcome.facts["random"]
    )
    assert read_outcome(tmp_path / "out").about.size == "tiny"
    assert set(ATTRIBUTE_REGIONS) >= {
        row["attribute"] for row in again.outcome.facts["attribute_regions"]
    }
