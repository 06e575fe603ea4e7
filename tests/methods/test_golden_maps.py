"""Golden maps: output that changes must raise the method's version."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.methods import METHODS, Explainer, resolve_methods
from xaieval.models import Classifier
from xaieval.models.vit import VisionTransformer, VitConfig


def written_down(net: nn.Module) -> None:
    """Give all weights values that can be written down."""
    for start, parameter in enumerate(net.parameters(), 1):
        ramp = torch.arange(parameter.numel(), dtype=torch.float64)
        parameter.data = torch.sin(ramp * 1.7 + start).reshape(parameter.shape).float() / 2


class Waves(nn.Module):
    """A network whose weights are written down: two convolutions, an activation, mean, linear."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Linear(5, 3)
        written_down(self)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.first(x))
        features = self.activation(self.second(hidden))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


def golden(method: str) -> list[float]:
    """Return mean, standard deviation, maximum, its place, and the mean of the top left quarter."""
    ramp = torch.arange(3 * 16 * 16, dtype=torch.float64).reshape(1, 3, 16, 16)
    x = (torch.sin(ramp * 0.37) + torch.cos(ramp * 0.011)).float()
    if METHODS[method].family == "attention":
        config = VitConfig((16, 16), 4, dim=8, depth=2, heads=2, mlp_dim=12, n_classes=3)
        net: nn.Module = VisionTransformer(config).eval()
        written_down(net)
        classifier = Classifier(net, example=x)
    else:
        net = Waves(nn.ReLU() if method in RELU_ONLY else nn.SiLU())
        classifier = Classifier(net, example=x, target_layer="second")
    explainer = Explainer(classifier, exact=True)
    found = explainer.run(
        x.double(), methods=resolve_methods(method), targets=torch.tensor([1]), sample_ids=["wave"]
    )
    (values,) = found.maps[method].astype(np.float64)
    return [
        values.mean(),
        values.std(),
        values.max(),
        float(values.argmax()),
        values[:8, :8].mean(),
    ]


# Not defined for SiLU.
RELU_ONLY = {"guided_backprop", "deconvnet", "guided_gradcam"}
# id: (version, mean, standard deviation, maximum, its place, mean of the top left quarter)
GOLDEN = {
    "gradcam": (1, 0.00034875945, 0.0016050696, 0.013255912, 2, 0.0012157325),
    "gradcam_plus_plus": (1, 0.0075517803, 0.02675551, 0.18879308, 3, 0.024673138),
    "hirescam": (1, 0.00060643479, 0.0027133105, 0.02189897, 2, 0.0021858066),
    "layercam": (1, 0.0011522746, 0.0032336487, 0.024040749, 2, 0.0037996881),
    "xgradcam": (1, 0.0014573034, 0.0040000837, 0.024253709, 3, 0.0042479196),
    "eigen_cam": (1, 1.730343, 1.2904479, 7.803112, 48, 3.0058233),
    "score_cam": (1, 0.0046619573, 0.025379687, 0.21713407, 2, 0.018094506),
    "ablation_cam": (1, 2.9230419, 14.666059, 124.63998, 2, 10.386665),
    "raw_attention": (1, 0.058762418, 0.00080533189, 0.060591996, 230, 0.05804803),
    "attention_rollout": (1, 0.044245033, 0.0018729272, 0.04910716, 229, 0.044516009),
    "gradient_rollout": (1, 6.1055094e-05, 6.5083079e-06, 7.7681449e-05, 230, 5.5749324e-05),
    "saliency": (1, 0.0017190991, 0.0013690805, 0.0063828719, 15, 0.0012892681),
    "gradient_x_input": (1, 0.0030787349, 0.0026397538, 0.013643366, 15, 0.002860165),
    "integrated_gradients": (1, 0.0026776525, 0.0021241909, 0.010488607, 15, 0.0023002466),
    "smoothgrad": (1, 0.003591204, 0.002830718, 0.011855057, 240, 0.0023757739),
    "smoothgrad_squared": (1, 2.5664579e-05, 1.3450217e-05, 8.6835185e-05, 13, 1.835239e-05),
    "vargrad": (1, 1.8049942e-05, 1.0781324e-05, 6.1513863e-05, 209, 1.4799344e-05),
    "gradient_shap": (1, 0.0033861678, 0.001940357, 0.0114996, 15, 0.0029694039),
    "deeplift": (1, 0.0026977647, 0.0021673544, 0.010657758, 15, 0.0023100675),
    "guided_backprop": (1, 0.002689556, 0.0029029219, 0.016109429, 16, 0.0037930091),
    "deconvnet": (1, 0.0058640113, 0.0038185573, 0.015985778, 15, 0.0054323315),
    "guided_gradcam": (1, 2.0079351e-06, 9.876167e-06, 9.4676339e-05, 18, 6.1219368e-06),
    "lrp": (1, 5.8732321e-07, 6.7685928e-06, 9.1198883e-05, 3, 2.3492929e-06),
    "occlusion": (1, 0.0014189684, 0.0027862258, 0.016417025, 255, 0.001059074),
    "rise": (1, 0.29921867, 0.0037619574, 0.30860937, 80, 0.30293686),
    "lime": (1, 0.0002612261, 0.00044890067, 0.0020703226, 223, 0.00031152862),
    "kernel_shap": (1, 0.0014330918, 0.0021724612, 0.0099903494, 45, 0.0016049781),
    "shapley_sampling": (1, 0.001365248, 0.0019285864, 0.0082068285, 223, 0.0017407062),
    "sess": (1, 0.074367124, 0.099393829, 0.45224562, 98, 0.1279823),
    "puzzle": (1, 0.00033898795, 0.001081459, 0.0080727795, 2, 0.00090384397),
    "tta": (1, 0.037125002, 0.10911082, 0.69366533, 2, 0.093134727),
    "constant": (1, 1, 0, 1, 0, 1),
    "random": (1, 0.47819967, 0.28036886, 0.99922508, 255, 0.51590586),
    "sobel": (1, 2.2943763, 1.1238378, 3.936348, 211, 2.2708951),
    "centre_prior": (1, 0.35819721, 0.25747674, 0.98449641, 119, 0.35819721),
}


def test_every_method_has_a_golden_map() -> None:
    assert set(GOLDEN) >= set(METHODS)


@pytest.mark.parametrize("method", GOLDEN)
def test_output_changes_only_with_the_version(method: str) -> None:
    version, *expected = GOLDEN[method]
    assert golden(method) == pytest.approx(expected, rel=1e-5), "raise the version of the method"
    assert METHODS[method].version == version, "write the new golden map down"
