"""The model doctor tells what is so, tries every method, and leaves the network alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from xaieval.cli import main
from xaieval.doctor import examine, smoke
from xaieval.errors import Cancelled
from xaieval.methods import MethodCall, MethodSpec, resolve_methods
from xaieval.models import Classifier, ModelConfig, build

FACTORY = '''
import torch
from torch import nn
from xaieval.models import Classifier, Preprocessing


class Careless(nn.Module):
    """One ReLU for all, in place; a functional one; two heads."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.head, self.other = nn.Linear(4, 3), nn.Linear(4, 7)

    def forward(self, x):
        y = torch.relu(self.relu(self.second(self.relu(self.first(x)))) - 0.1).mean((2, 3))
        return {"logits": self.head(y), "more": self.other(y)}


def careless():
    torch.manual_seed(0)
    return Careless()


def dressed():
    preprocessing = Preprocessing((32, 32))
    return Classifier(careless(), preprocessing=preprocessing, class_names=["a", "b", "c"])


def wants_more(size):
    return Careless()


def nothing():
    return 7


def failing():
    raise FileNotFoundError("no weights here")


class Restless(Careless):
    """Drops half of its input in eval mode too."""

    def forward(self, x):
        return super().forward(nn.functional.dropout(x))


flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
'''


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a_users_model.py").write_text(FACTORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: object) -> object:
    return CliRunner().invoke(main, ["doctor", *map(str, words)])


QUICK = ("--methods", "gradcam,saliency,smoothgrad,attention_rollout,random")


def test_a_careless_network_is_seen_through(factories: Path) -> None:
    found = call("a_users_model:careless", "--input", "3x32x32", *QUICK, "--out", "findings")
    assert found.exit_code == 0, found.output
    text = " ".join(found.output.split())
    assert "output logits float32 (2, 3): logits" in text
    assert "output more float32 (2, 7): could be logits" in text
    assert "relu 3, 2 in place, 1 functional" in text
    assert "reused relu runs 2 times" in text
    assert "2 outputs: the logits head was found" in text
    assert "pictures unknown" in text
    # Two convolutions of stride 2 with symmetric padding: cells at 0, 4, 8, … not at 1.5, 5.5, …
    assert "centres at (0.0, 0.0) + (4.0, 4.0)" in text
    assert "(1.5, 1.5) px off" in text
    assert "attention_rollout: " in text
    assert "no attention" in text
    written = json.loads(Path("findings/doctor.json").read_text(encoding="utf-8"))
    assert written["methods"]["gradcam"]["elapsed_s"] > 0
    assert "no attention" in written["methods"]["attention_rollout"]["why_not"]
    assert Path("findings/saliency.png").read_bytes()[:4] == b"\x89PNG"


def test_a_classifier_brings_its_preprocessing(factories: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (50, 40), "olive").save(tmp_path / "picture.png")
    found = call("a_users_model:dressed", "--image", "picture.png", "--methods", "saliency")
    assert found.exit_code == 0, found.output
    assert "stretched to 32 x 32" in found.output
    assert "a, b, c" in found.output


def test_a_network_of_flat_vectors_keeps_its_gradients(factories: Path) -> None:
    found = call("a_users_model:flat", "--input", "3x32x32", "--methods", "gradcam,saliency")
    assert found.exit_code == 0, found.output
    assert "target layer none" in " ".join(found.output.split())
    assert "gradcam: " in found.output.split("without a map:")[1]


def test_a_network_that_never_answers_twice_alike_is_found_out(factories: Path) -> None:
    words = ("--input", "3x32x32", "--methods", "saliency")
    restless = call("a_users_model:Restless", *words)
    assert restless.exit_code == 0, restless.output
    assert "the same input gives other logits each time" in restless.output
    assert "other logits" not in call("a_users_model:careless", *words).output


def test_maps_without_anything_to_see_are_told() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    nn.init.zeros_(net[3].weight)
    classifier = Classifier(net, example=torch.randn(2, 3, 8, 8))
    found = examine(classifier, methods=resolve_methods(["saliency", "constant"]))
    assert found.warnings == (
        "zero smoke maps of noise; try them on a picture with --image: saliency",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no_such_module:net"], "cannot be imported"),
        (["a_users_model:nobody"], "cannot be imported"),
        (["a_users_model:wants_more"], "without arguments"),
        (["a_users_model:nothing"], "not a network"),
        (["a_users_model:failing"], "failed (FileNotFoundError: no weights here)"),
        (["nowhere.safetensors"], "nowhere.safetensors"),
        (["a_users_model:careless", "--image", "a_users_model.py"], "preprocessing"),
        (["a_users_model:careless", "--input", "224"], "write 3x224x224"),
        (["a_users_model:careless", "--input", "1x32x32"], "does not run on input"),
        (["a_users_model:careless", "--methods", "gradcamm"], "gradcam"),
    ],
)
def test_bad_input_is_one_clear_line(factories: Path, words: list[str], told: str) -> None:
    found = call(*words)
    assert found.exit_code == 2, found.output
    assert told in found.output
    assert "Traceback" not in found.output


def test_the_network_is_left_as_it_was() -> None:
    net = build(ModelConfig("small-cnn", n_classes=3, input_size=(64, 64)), seed=0)
    x = torch.randn(2, 3, 64, 64)
    net.eval()
    before = net.classify(x)
    examine(
        Classifier(net, example=x), methods=resolve_methods(["gradcam", "saliency", "occlusion"])
    )
    assert torch.equal(net.classify(x), before)
    assert all(p.requires_grad for p in net.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in net.modules())


def test_what_takes_too_long_is_given_up_and_cancelling_stops() -> None:
    net = build(ModelConfig("small-cnn", n_classes=3, input_size=(64, 64)), seed=0)
    classifier = Classifier(net, example=torch.randn(2, 3, 64, 64))
    calls = resolve_methods("occlusion")
    (trial,) = examine(classifier, methods=calls, limit_s=-1.0).trials
    assert "takes more than" in trial.why_not
    with pytest.raises(Cancelled):
        examine(classifier, methods=calls, cancelled=lambda: True)


def test_a_method_that_refuses_few_samples_gets_its_own_number() -> None:
    asked: list[int] = []

    def run(passes: object, options: dict[str, int]) -> Tensor:
        from xaieval.errors import MethodError

        asked.append(options["n_samples"])
        if options["n_samples"] < 20:
            raise MethodError("too few samples")
        return passes.x[:, :1]  # type: ignore[attr-defined]

    from xaieval.methods import Option

    spec = MethodSpec(
        id="custom:choosy",
        label="Choosy",
        summary="",
        family="custom",
        fn=run,
        cost=lambda options: options["n_samples"],
        paper="",
        options={"n_samples": Option(default=20, help="", kind="int", low=1)},
    )
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    one = MethodCall(spec.id, {}, spec)
    (trial,) = examine(Classifier(net, example=torch.randn(2, 3, 4, 4)), methods=[one]).trials
    assert asked == [8, 20]
    assert trial.heatmap is not None
    assert smoke(MethodCall("saliency")).key == "saliency"
