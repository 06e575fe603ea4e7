"""Training: it learns, it repeats bit for bit, it resumes, and bad input is named."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from xaieval.digest import canonical_json, rng
from xaieval.errors import Cancelled, ConfigError, DataError, ModelError, ResultsError
from xaieval.models import (
    ModelConfig,
    Preprocessing,
    TrainOptions,
    read_card,
    resume_path,
    train,
)
from xaieval.models.pictures import known_masks
from xaieval.types import Sample

SIZE = (32, 32)
CONFIG = ModelConfig("small-cnn", 3, SIZE)
OPTIONS = TrainOptions(epochs=3, batch=8, lr=3e-3)
INPUT = Preprocessing(SIZE)


@dataclass(frozen=True)
class Fold:
    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]


class Squares:
    """Grey noise with a red square (class 1), a green one (class 2), or none (class 0)."""

    name, task, digest = "squares", "single", "squares-1"
    class_names, region_names = ("none", "red", "green"), ("square",)

    def __init__(self, damaged=(), classes=(0, 1, 2)):
        self.damaged, self.classes = set(damaged), classes

    def __getitem__(self, sample_id):
        number = int(sample_id)
        label = self.classes[number % len(self.classes)]
        random = rng("square", number)
        image = random.integers(90, 160, (*SIZE, 3)).astype(np.uint8)
        mask = np.zeros(SIZE, bool)
        top, left = random.integers(0, 20, 2)
        mask[top : top + 10, left : left + 10] = True

        def read_image():
            if sample_id in self.damaged:
                raise DataError("truncated file", where=sample_id)
            if label:
                image[mask] = (230, 30, 30) if label == 1 else (30, 230, 30)
            return image

        return Sample(sample_id, label, read_image, lambda: {"square": mask} if label else {})


def _ids(start, stop):
    return tuple(f"{i:03d}" for i in range(start, stop))


FOLD = Fold(0, _ids(0, 21), _ids(21, 30))


def run(path, *, data=None, fold=FOLD, config=CONFIG, options=OPTIONS, seed=0, **more):
    return train(
        data or Squares(),
        fold,
        config=config,
        preprocessing=INPUT,
        options=options,
        seed=seed,
        path=path,
        **more,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return run(tmp_path_factory.mktemp("first") / "seed-0.safetensors")


def _same(a, b):
    left, right = load_file(a), load_file(b)
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_the_same_seed_twice_is_bit_identical(first, tmp_path):
    torch.manual_seed(12345)  # the global state plays no part
    again = run(tmp_path / "a.safetensors")
    assert _same(first, again)
    assert read_card(again).history == read_card(first).history
    assert not _same(first, run(tmp_path / "b.safetensors", seed=1))


def test_global_random_state_is_untouched(tmp_path):
    before = torch.get_rng_state()
    run(tmp_path / "a.safetensors", options=replace(OPTIONS, epochs=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("stop_at", [1, 4, 6])
def test_interrupted_and_resumed_is_bit_identical(first, tmp_path, stop_at):
    path = tmp_path / "seed-0.safetensors"
    calls = 0

    def stop(progress):
        nonlocal calls
        calls += progress.stage.startswith("train")
        if calls == stop_at:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(path, report=stop)
    assert resume_path(path).is_file()
    assert not path.exists()
    seen = []
    run(path, report=seen.append)
    assert _same(first, path)
    assert read_card(path).history == read_card(first).history
    assert not resume_path(path).exists()
    # Of nine steps, those of finished epochs are not taken again.
    assert min(p.done for p in seen if p.stage.startswith("train")) == 3 * (stop_at // 3) + 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seed-0.json", "seed-0.safetensors"]


def test_damaged_or_foreign_state_starts_anew(first, tmp_path):
    path = tmp_path / "seed-0.safetensors"
    for content in (b"nonsense", None):
        path.unlink(missing_ok=True)
        if content is None:
            torch.save({"run": "another"}, resume_path(path))
        else:
            resume_path(path).write_bytes(content)
        notes = []
        run(path, report=lambda p, notes=notes: notes.append(p.note))
        assert any("starting from the first epoch" in note for note in notes)
        assert _same(first, path)


def test_a_finished_run_is_not_repeated_but_another_is(first, tmp_path):
    def fail(progress):
        raise AssertionError("it ran")

    assert run(first, report=fail) == first
    with pytest.raises(AssertionError, match="it ran"):
        run(first, options=replace(OPTIONS, lr=1e-3), report=fail)


def test_history_and_progress(first, tmp_path):
    card = read_card(first)
    assert [(row.epoch, row.split) for row in card.history] == [
        (e, s) for e in (1, 2, 3) for s in ("train", "test")
    ]
    for row in card.history:
        assert row.loss_total == pytest.approx(row.loss_ce + OPTIONS.beta * row.loss_mask)
        assert 0 <= row.balanced_accuracy <= 1
    assert card.history[-2].loss_total < card.history[0].loss_total
    assert (card.n_train, card.n_test) == (21, 9)
    assert card.options == OPTIONS
    seen = []
    run(tmp_path / "a.safetensors", report=seen.append)
    steps = [p for p in seen if p.stage.startswith("train")]
    assert [p.done for p in steps] == list(range(1, 10))
    assert {p.total for p in steps} == {9}
    assert steps[-1].left_s == 0


def test_it_learns_what_is_there_to_learn(tmp_path):
    fold = Fold(0, _ids(0, 60), _ids(60, 90))
    options = replace(OPTIONS, epochs=12, augment="flips+photometric")
    path = run(tmp_path / "a.safetensors", fold=fold, options=options)
    assert read_card(path).history[-1].balanced_accuracy >= 0.9


def test_without_mask_loss_the_decoder_is_left_alone(tmp_path):
    path = run(tmp_path / "a.safetensors", options=replace(OPTIONS, epochs=1, beta=0.0))
    card = read_card(path)
    assert card.history[0].loss_mask is None
    assert card.history[0].loss_total == card.history[0].loss_ce
    bare = replace(CONFIG, decoder=False)
    other = run(tmp_path / "b.safetensors", config=bare, options=card.options)
    assert not any(k.startswith("decoder") for k in load_file(other))


def test_memory_bound_changes_nothing(first, tmp_path):
    assert _same(first, run(tmp_path / "a.safetensors", memory_bytes=10_000))


def test_a_damaged_image_is_left_out_and_named(tmp_path):
    data, notes = Squares(damaged={"004", "022"}), []
    options = replace(OPTIONS, epochs=1)
    path = run(
        tmp_path / "a.safetensors",
        data=data,
        options=options,
        report=lambda p: notes.append(p.note),
    )
    card = read_card(path)
    assert (card.n_train, card.n_test) == (20, 8)
    assert [p.split()[0] for p in card.problems] == ["004", "022"]
    assert sum("left out" in note for note in notes) == 2
    with pytest.raises(DataError, match="truncated file"):
        run(tmp_path / "b.safetensors", data=data, options=options, strict=True)
    assert not (tmp_path / "b.safetensors").exists()


def test_pretrained_encoders_frozen_and_recalibrated(first, tmp_path):
    options = replace(
        OPTIONS,
        epochs=1,
        encoder_weights=str(first),
        recalibrate=True,
        freeze_batchnorm=True,
        freeze_encoder_blocks=2,
    )
    path = run(tmp_path / "a.safetensors", options=options, seed=7)
    before, after = load_file(first), load_file(path)
    for key in ("encoder.features.0.0.weight", "encoder.features.1.0.weight"):
        assert torch.equal(before[key], after[key])
    assert not torch.equal(
        before["encoder.features.2.0.weight"], after["encoder.features.2.0.weight"]
    )
    card = read_card(path)
    assert card.options.encoder_weights == "seed-0.safetensors"
    assert card.encoder_weights_sha256 == read_card(first).weights_sha256


def test_cosine_reaches_zero():
    from xaieval.models.trainer import Trainer

    trainer = object.__new__(Trainer)
    trainer.options = replace(OPTIONS, schedule="cosine", epochs=10)
    assert trainer._lr(0.0) == OPTIONS.lr
    assert trainer._lr(5.0) == pytest.approx(OPTIONS.lr / 2)
    assert trainer._lr(10.0) == pytest.approx(0)


def test_masks_that_are_unknown():
    ids, labels = ["a", "b", "c", "d"], {"a": 0, "b": 1, "c": 1, "d": 2}
    assert known_masks(ids, labels, {"b", "d"}) == {"a": True, "b": True, "c": False, "d": True}
    assert not any(known_masks(ids, labels, set()).values())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": Squares(classes=(1,))}, DataError, "at least two classes, got 21 images of red"),
        ({"fold": Fold(2, ("001", "002"), ("002",))}, DataError, "fold 2: 1 images are in train"),
        ({"fold": Fold(0, (), ("002",))}, DataError, "0 images of no class"),
        ({"config": replace(CONFIG, n_classes=4)}, ConfigError, "n_classes = 3, got 4"),
        ({"config": replace(CONFIG, input_size=(64, 64))}, ConfigError, "input size"),
        ({"config": replace(CONFIG, decoder=False)}, ConfigError, "needs a decoder"),
        ({"options": replace(OPTIONS, encoder_weights="no.pt")}, ModelError, "no such weights"),
        ({"options": replace(OPTIONS, lr=1e30)}, ModelError, "Lower the learning rate"),
    ],
)
def test_bad_input_is_named(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        run(tmp_path / "a.safetensors", **arguments)
    assert not (tmp_path / "a.safetensors").exists()


def test_unwritable_output_shows_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    trained = []
    with pytest.raises(ResultsError, match="cannot write here"):
        run(
            tmp_path / "file" / "a.safetensors",
            report=lambda p: trained.append(p) if p.stage.startswith("train") else None,
        )
    assert not trained
    with pytest.raises(ModelError, match=r"ending \.safetensors"):
        run(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch": 1},
        {"lr": 0.0},
        {"beta": -1.0},
        {"schedule": "linear"},
        {"augment": "flip"},
        {"freeze_encoder_blocks": -1},
        {"lr": float("nan")},
    ],
)
def test_impossible_options_are_refused(change):
    with pytest.raises(ConfigError):
        TrainOptions(**change)


def test_plain_descent_with_a_falling_rate(tmp_path):
    options = replace(
        OPTIONS, optimizer="sgd", momentum=0.5, lr=0.1, schedule="step", gamma=0.5, epochs=2
    )
    rates = []
    step = torch.optim.SGD.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        assert self.param_groups[0]["momentum"] == 0.5
        return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", watched)
        run(tmp_path / "a.safetensors", options=options)
    assert rates == [0.1] * 3 + [0.05] * 3
    assert read_card(tmp_path / "a.safetensors").options == options


@pytest.mark.parametrize(
    "wrong", [{"optimizer": "adagrad"}, {"momentum": 0.5}, {"gamma": 0.0}, {"gamma": 1.5}]
)
def test_bad_options_of_descent(wrong):
    with pytest.raises(ConfigError):
        TrainOptions(**wrong)


def test_options_that_came_later_leave_old_digests_alone():
    assert "momentum" not in canonical_json(TrainOptions())
    changed = TrainOptions(optimizer="sgd", momentum=0.5)
    assert '"momentum":0.5' in canonical_json(changed)
