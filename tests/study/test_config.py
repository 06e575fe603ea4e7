"""Study files: what is read, what is refused and in which words, what each digest depends on."""

from __future__ import annotations

import dataclasses

import pytest

from xaieval.errors import ConfigError
from xaieval.study.config import builtin_studies, load_study, parse_study
from xaieval.study.plan import resolve

TEXT = """
schema = 1
[study]
id = "tiny"
title = "Tiny"
[data]
name = "synthetic-hazelnut"
filters = { per_class = 3 }
[model]
arch = "small-cnn"
input_size = [64, 48]
[train]
seeds = [1, 2]
lr = 1
[explain]
methods = ["gradcam", { id = "integrated_gradients", n_steps = 5 }]
"""


def test_values_and_defaults():
    study = parse_study(TEXT)
    assert study.model.input_size == (64, 48)
    assert study.train.seeds == (1, 2)
    assert study.train.lr == 1.0
    assert isinstance(study.train.lr, float)
    assert study.explain.methods[1] == {"id": "integrated_gradients", "n_steps": 5}
    assert study.data.filters.per_class == 3
    assert study.model_id == "tiny/small-cnn"
    assert parse_study(TEXT.replace("seeds = [1, 2]", "")).train.seeds == tuple(range(42, 52))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("arch =", "archh =", r"f.toml: \[model\]: unknown key 'archh'.*Did you mean 'arch'"),
        ("[explain]", "[explane]", "unknown key 'explane'.*Did you mean 'explain'"),
        ("per_class", "per_clas", r"\[data\] filters: unknown key.*Did you mean 'per_class'"),
        ("lr = 1", 'lr = "fast"', r"\[train\] lr: wrong type.*expected a number, got 'fast'"),
        ("lr = 1", "lr = true", r"\[train\] lr: wrong type"),
        ("lr = 1", "lr = 0", r"\[train\] lr: out of range; expected more than 0"),
        ("[1, 2]", "[1, 1]", r"\[train\] seeds: bad list of seeds"),
        ("[1, 2]", "[]", r"\[train\] seeds: bad list of seeds"),
        ("[64, 48]", "[64]", r"\[model\] input_size: wrong type.*a whole number, a whole number"),
        ("{ id =", "{ idd =", r"\[explain\] methods: an entry has no id"),
        ("schema = 1", "schema = 7", "schema: cannot read this schema version; expected 1, got 7"),
        ("schema = 1", "", "schema"),
        ('title = "Tiny"', "", r"\[study\] title: a required key is missing"),
        ('id = "tiny"', 'id = "a/b"', r"\[study\] id: not usable"),
        ("[model]", "[model", "not a TOML file"),
        ('[data]\nname = "synthetic-hazelnut"', "[data]\n", r"\[data\] name: a required key"),
    ],
)
def test_refused_in_one_clear_sentence(old: str, new: str, words: str):
    assert old in TEXT
    with pytest.raises(ConfigError, match=words):
        parse_study(TEXT.replace(old, new, 1), where="f.toml")


def test_a_later_stage_never_changes_an_earlier_digest():
    study = parse_study(TEXT)

    def change(table: str, **values: object) -> list[bool]:
        settings = dataclasses.replace(getattr(study, table), **values)
        other = dataclasses.replace(study, **{table: settings})
        return [other.digest(stage) != study.digest(stage) for stage in ("train", "explain")]

    assert change("score", metrics=("auroc",)) == [False, False]
    assert change("explain", methods=("saliency",)) == [False, False]
    assert change("explain", target="label") == [False, True]
    assert change("train", epochs=2) == [True, True]
    assert change("train", seeds=(9,)) == [False, False]
    assert change("data", path="/elsewhere") == [False, False]
    assert change("data", split_seed=3) == [True, True]
    assert change("model", encoder_weights="w") == [False, False]


def test_builtin_studies_are_valid():
    names = builtin_studies()
    assert {"demo", "hazelnut-toy", "coffee-leaf", "project-iml"} <= set(names)
    for name, path in names.items():
        assert load_study(name).id == name == path.stem


def test_unknown_study_and_unreadable_file(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'demo'"):
        load_study("demoo")
    with pytest.raises(ConfigError, match="cannot read the study"):
        load_study(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        load_study(tmp_path / "bytes.toml")


def test_who_competes_is_named_by_key_or_id():
    plain = load_study("demo")

    def competing(*names: str) -> tuple[str, ...]:
        return resolve(
            dataclasses.replace(plain, explain=dataclasses.replace(plain.explain, compete=names)),
            ("defect",),
        ).compete

    aligned = "gradcam[upsampling=aligned]"
    assert competing() == ("gradcam", aligned, "saliency", "integrated_gradients")
    assert competing("gradcam", "saliency") == ("gradcam", "saliency")
    assert competing(aligned) == (aligned,)
    with pytest.raises(ConfigError, match="method of the study"):
        competing("gradcamm")
