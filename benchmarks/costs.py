"""What shared passes cost, against captum and pytorch-grad-cam calling the network per method.

EfficientNet-B0 (multitask, its classifier alone on both sides) and ResNet-18 at 224², random
weights. Ours and the peers alternate within one run, and a pass holds as many rows on either side.
Peers run the network as it is; ours fold and freeze it, which is part of what is compared.

one-pass
    Saliency, gradient × input, Grad-CAM, Grad-CAM++, HiResCAM, LayerCAM, XGrad-CAM: ours from one
    forward and backward, peers one by one. Wanted: at most 25 % of the peers.
sampled
    IG, SmoothGrad, SmoothGrad², VarGrad, GradientSHAP, DeepLIFT, n = 25. At most 55 %.
ablation
    Ablation-CAM of one picture, ours continued from its layer. At most 10 %.
score-cam
    Score-CAM of one picture; reported.
rise
    4,000 masks of one picture against bare forwards of the same prepared network with the same
    rows per pass, one before each pass of RISE. At least 90 % of their throughput.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from captum.attr import (
    DeepLift,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn

from xaieval.methods import Explainer, resolve_methods
from xaieval.models import (
    MODELS,
    Classifier,
    ModelConfig,
    Preprocessing,
    build,
    calibrate_batchnorm,
)
from xaieval.models.resnet import BasicBlock

SIZE, SAMPLES, MASKS = 224, 25, 4000
ARCHS = ("efficientnet-b0", "resnet18")
_MEASURES = ("one-pass", "sampled", "ablation", "score-cam", "rise")
PARTS = (*_MEASURES, *ARCHS)
WANTED = {
    "one-pass": ("at most", 0.25),
    "sampled": ("at most", 0.55),
    "ablation": ("at most", 0.10),
    "rise": ("at least", 0.90),
}
CAMS = {
    "gradcam": "GradCAM",
    "gradcam_plus_plus": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "xgradcam": "XGradCAM",
}
ONE_PASS = ("saliency", "gradient_x_input", *CAMS)
SAMPLED = (
    {"id": "integrated_gradients", "n_steps": SAMPLES},
    {"id": "smoothgrad", "n_samples": SAMPLES},
    {"id": "smoothgrad_squared", "n_samples": SAMPLES},
    {"id": "vargrad", "n_samples": SAMPLES},
    {"id": "gradient_shap", "n_samples": SAMPLES},
    {"id": "deeplift"},
)


class Logits(nn.Module):
    """A multitask network without its decoder, for peers."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.classify(x)


@dataclass(frozen=True, eq=False)
class Setting:
    """One network and what both sides explain."""

    arch: str
    explainer: Explainer
    twin: nn.Module
    layer: nn.Module
    x: Tensor
    targets: Tensor

    @property
    def rows(self) -> int:
        """Rows of a pass on either side."""
        return self.explainer.rows((self.x.shape[2], self.x.shape[3])).count


def setting(arch: str, size: int) -> Setting:
    """Return a calibrated network, wrapped for ours and bare for peers, and a batch for it."""
    generator = torch.Generator().manual_seed(0)
    net = build(ModelConfig(arch, 5, (size, size)), seed=0)
    seen = torch.randn((8, 3, size, size), generator=generator)
    calibrate_batchnorm(net, seen)
    net = net.eval()
    explainer = Explainer(Classifier(net, preprocessing=Preprocessing((size, size))))
    if explainer.prepared.notes:
        raise SystemExit(f"batch norms were not folded: {explainer.prepared.notes}")
    rows = explainer.rows((size, size)).count
    x = torch.randn((rows, 3, size, size), generator=generator)
    twin = Logits(copy.deepcopy(net))
    for block in twin.modules():
        if isinstance(block, BasicBlock):
            _apart(block)
    layer = twin.get_submodule(f"net.{MODELS[arch].target_layer}")
    with torch.no_grad():
        targets = twin(x).argmax(1)
    return Setting(arch, explainer, twin, layer, x, targets)


def _apart(block: BasicBlock) -> None:
    """Give a residual block a ReLU for each use: captum's DeepLIFT refuses a reused one."""
    block.relu2 = nn.ReLU(inplace=True)

    def forward(self: Any, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + skip)

    block.forward = MethodType(forward, block)


def grad_cam_library() -> Any | None:
    """Return pytorch-grad-cam; None where the extra ``parity`` is not installed."""
    from benchmarks.parity.peers import peer

    try:
        return peer("pytorch_grad_cam")
    except SystemExit:
        return None


def peers_cams(
    case: Setting, library: Any, names: Sequence[str], x: Tensor, **options: Any
) -> None:
    targets_of = library.utils.model_targets.ClassifierOutputTarget
    for name in names:
        cam = getattr(library, name)(model=case.twin, target_layers=[case.layer], **options)
        if name == "ScoreCAM":
            cam.batch_size = case.rows
        with redirect_stderr(io.StringIO()):
            cam(input_tensor=x, targets=[targets_of(int(t)) for t in case.targets[: len(x)]])
        cam.activations_and_grads.release()


def peers_one_pass(case: Setting, library: Any | None) -> None:
    Saliency(case.twin).attribute(case.x, target=case.targets)
    InputXGradient(case.twin).attribute(case.x, target=case.targets)
    if library is not None:
        peers_cams(case, library, list(CAMS.values()), case.x)


def peers_sampled(case: Setting) -> None:
    """Captum's six, never more rows in a pass than ours."""
    x, targets = case.x, case.targets
    IntegratedGradients(case.twin).attribute(
        x, target=targets, n_steps=SAMPLES, internal_batch_size=case.rows
    )
    for kind in ("smoothgrad", "smoothgrad_sq", "vargrad"):
        NoiseTunnel(Saliency(case.twin)).attribute(
            x,
            target=targets,
            nt_type=kind,
            nt_samples=SAMPLES,
            nt_samples_batch_size=1,
            stdevs=0.15,
            abs=False,
        )
    for _ in range(SAMPLES):  # it knows no batch size but all samples at once
        GradientShap(case.twin).attribute(
            x, baselines=torch.rand_like(x), target=targets, n_samples=1
        )
    for half in (slice(0, case.rows // 2), slice(case.rows // 2, None)):  # it doubles the rows
        DeepLift(case.twin).attribute(x[half], target=targets[half])


def alternate(
    ours: Callable[[], object], peers: Callable[[], object], rounds: int
) -> tuple[float, float, float]:
    """Return the median ratio ours / peers of neighbours in time, and the median seconds."""
    times = []
    for _ in range(rounds):
        pair = []
        for way in (ours, peers):
            start = time.perf_counter()
            way()
            pair.append(time.perf_counter() - start)
        times.append(pair)
    ratio = statistics.median(a / b for a, b in times)
    return ratio, *(statistics.median(column) for column in zip(*times, strict=True))


def rise(case: Setting, masks: int) -> tuple[float, float, float]:
    """Return bare over RISE seconds (RISE's share of the throughput), and the seconds of each.

    Before each pass of RISE runs a bare one, timed apart, so that both meet the same machine.
    """
    methods = resolve_methods([{"id": "rise", "n_masks": masks}])
    batch = case.x.contiguous(memory_format=torch.channels_last)
    prepared = case.explainer.prepared
    real, bare = prepared.logits, 0.0

    def both(rows: torch.Tensor, extra: Any = None) -> torch.Tensor:
        nonlocal bare
        start = time.perf_counter()
        with torch.no_grad():
            real(batch)
        bare += time.perf_counter() - start
        return real(rows, extra)

    prepared.logits = both  # type: ignore[method-assign]
    try:
        start = time.perf_counter()
        case.explainer.run(case.x[:1], methods=methods)
        whole = time.perf_counter() - start
    finally:
        del prepared.logits
    return bare / (whole - bare), whole - bare, bare


def measure(case: Setting, part: str, library: Any | None, quick: bool) -> dict[str, Any]:
    """Return ratio and seconds of one part on one network."""
    rounds = 1 if quick else 3
    run = case.explainer.run
    if part == "rise":
        ratio, ours, peers = rise(case, 240 if quick else MASKS)
        return {"ratio": ratio, "ours_s": ours, "peers_s": peers, "of": "bare forwards"}
    if part == "one-pass":
        methods = resolve_methods(list(ONE_PASS) if library else list(ONE_PASS[:2]))
        found = alternate(
            lambda: run(case.x, methods=methods),
            lambda: peers_one_pass(case, library),
            1 if quick else 7,
        )
    elif part == "sampled":
        methods = resolve_methods([dict(entry) for entry in SAMPLED])
        found = alternate(lambda: run(case.x, methods=methods), lambda: peers_sampled(case), rounds)
    else:
        if library is None:
            return {"skipped": "pytorch-grad-cam is not installed (extra parity)"}
        name, options = {
            "ablation": ("AblationCAM", {"batch_size": case.rows}),
            "score-cam": ("ScoreCAM", {}),
        }[part]
        methods = resolve_methods("ablation_cam" if part == "ablation" else "score_cam")
        x = case.x[:1]
        found = alternate(
            lambda: run(x, methods=methods),
            lambda: peers_cams(case, library, [name], x, **options),
            1,  # a minute and more for the peers
        )
    of = "captum" if library is None or part == "sampled" else "captum, pytorch-grad-cam"
    return {"ratio": found[0], "ours_s": found[1], "peers_s": found[2], "of": of}


def main(
    *, quick: bool = False, only: Sequence[str] = (), size: int | None = None
) -> dict[str, float]:
    """Run the chosen parts, print a table and one JSON line, and return the ratios."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(min(2, torch.get_num_threads()))
    size = size or (96 if quick else SIZE)
    library = grad_cam_library()
    if library is None:
        print("pytorch-grad-cam is not installed (extra parity): CAMs are left out")
    results: dict[str, dict[str, Any]] = {}
    for arch in [name for name in ARCHS if name in only] or ARCHS:
        case = setting(arch, size)
        case.explainer.run(case.x, methods=resolve_methods("gradcam"))  # warm
        peers_one_pass(case, None)
        print(f"{arch} at {size}², {case.rows} rows per pass, {torch.get_num_threads()} threads")
        for part in [name for name in _MEASURES if name in only] or _MEASURES:
            found = measure(case, part, library, quick)
            results[f"{arch} {part}"] = found
            print(_line(part, found), flush=True)
    ratios = {name: found["ratio"] for name, found in results.items() if "ratio" in found}
    print(json.dumps({"benchmark": "costs", "size": size, "results": results}))
    return ratios


def _line(part: str, found: dict[str, Any]) -> str:
    if "skipped" in found:
        return f"  {part:12}{found['skipped']}"
    kind, limit = WANTED.get(part, ("", 0.0))
    wanted = f"   wanted: {kind} {limit:.0%}" if kind else "   reported"
    return (
        f"  {part:12}{found['ratio']:7.1%} of {found['of']:26} "
        f"(ours {found['ours_s']:.2f} s, theirs {found['peers_s']:.2f} s){wanted}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="96², one alternation, fewer masks")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=(), help="parts, networks")
    parser.add_argument("--size", type=int, help="side of the pictures, px")
    main(**vars(parser.parse_args()))
