"""The table of architectures."""

from __future__ import annotations

from collections.abc import Callable

from xaieval.models.blocks import Encoder
from xaieval.models.efficientnet import efficientnet_b0
from xaieval.models.mnist_cnn import mnist_cnn, mnist_head
from xaieval.models.mobilenet import mobilenet_v2
from xaieval.models.model_spec import ModelSpec, Size
from xaieval.models.padding import PaddingMode
from xaieval.models.preprocessing import HALF, Preprocessing
from xaieval.models.resnet import resnet18, resnet50, resnet_head
from xaieval.models.small_cnn import small_cnn
from xaieval.models.torchvision_nets import PREFIX, torchvision_spec
from xaieval.models.vgg import vgg16, vgg_head
from xaieval.models.vit import vit_b_16, vit_tiny
from xaieval.table import Table


def any_size(encoder: Callable[[PaddingMode], Encoder]) -> Callable[[PaddingMode, Size], Encoder]:
    """Return an encoder's function for the table when the input size changes nothing."""
    return lambda padding, input_size: encoder(padding)


def any_padding(encoder: Callable[[Size], Encoder]) -> Callable[[PaddingMode, Size], Encoder]:
    """Return an encoder's function for the table when it has no padded convolutions."""
    return lambda padding, input_size: encoder(input_size)


class ModelTable(Table[ModelSpec]):
    """The table; look-up also finds ``torchvision:<name>`` where torchvision is installed."""

    def __getitem__(self, key: str) -> ModelSpec:
        return torchvision_spec(key) if key.startswith(PREFIX) else super().__getitem__(key)


MODELS: Table[ModelSpec] = ModelTable(
    "model",
    [
        ModelSpec(
            id="small-cnn",
            label="Small CNN",
            summary="eight convolutions, 192² input, trains on a laptop in minutes",
            encoder=any_size(small_cnn),
            preprocessing=Preprocessing((192, 192), mean=HALF, std=HALF, name="half"),
            target_layer="encoder.features.7",
            decoder_widths=(20, 12, 8),
            parameters=56536,
            paper="this package",
            scaled=lambda padding, input_size, width: small_cnn(padding, width=width),
        ),
        ModelSpec(
            id="mnist-cnn",
            label="MNIST CNN",
            summary="two convolutions and two linear layers, 28² input, trains in a minute",
            encoder=any_padding(mnist_cnn),
            preprocessing=Preprocessing((28, 28), mean=(0.0,) * 3, std=(1.0,) * 3, name="unit"),
            target_layer="encoder.features.3",
            decoder_widths=(),
            parameters=19392,
            paper="PyTorch's basic MNIST example, with three input channels",
            head=mnist_head,
            scaled=lambda padding, input_size, width: mnist_cnn(input_size, width=width),
        ),
        ModelSpec(
            id="mobilenet-v2",
            label="MobileNetV2",
            summary="inverted residuals, width 1.0, ReLU6, 224² input",
            encoder=any_size(mobilenet_v2),
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.features.18",
            decoder_widths=(256, 128, 64, 32),
            parameters=2223872,
            paper="Sandler et al., MobileNetV2, CVPR 2018",
        ),
        ModelSpec(
            id="efficientnet-b0",
            label="EfficientNet-B0",
            summary="inverted residuals with squeeze-excite, SiLU, 224² input",
            encoder=any_size(efficientnet_b0),
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.features.8",
            decoder_widths=(256, 128, 64, 32),
            parameters=4007548,
            paper="Tan and Le, EfficientNet, ICML 2019",
        ),
        ModelSpec(
            id="resnet18",
            label="ResNet-18",
            summary="residual blocks of two convolutions, reused in-place ReLU, 224² input",
            encoder=any_size(resnet18),
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.layer4.1",
            decoder_widths=(256, 128, 64, 32),
            parameters=11176512,
            paper="He et al., Deep residual learning, CVPR 2016",
            head=resnet_head,
        ),
        ModelSpec(
            id="resnet50",
            label="ResNet-50",
            summary="residual bottlenecks, stride on the 3×3 convolution, 224² input",
            encoder=any_size(resnet50),
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.layer4.2",
            decoder_widths=(256, 128, 64, 32),
            parameters=23508032,
            paper="He et al., Deep residual learning, CVPR 2016",
            head=resnet_head,
        ),
        ModelSpec(
            id="vgg16",
            label="VGG-16",
            summary="thirteen convolutions, in-place ReLU, no batch norm, 224² input",
            encoder=any_size(vgg16),
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.features.29",
            decoder_widths=(256, 128, 64, 32),
            parameters=14714688,
            paper="Simonyan and Zisserman, VGG, ICLR 2015",
            head=vgg_head,
        ),
        ModelSpec(
            id="vit-tiny",
            label="Small ViT",
            summary="six transformer blocks of width 128, patches of 16 px, 192² input",
            encoder=any_padding(vit_tiny),
            preprocessing=Preprocessing((192, 192), mean=HALF, std=HALF, name="half"),
            target_layer="encoder.encoder.layers.encoder_layer_5.token_map",
            decoder_widths=(64, 32, 16),
            parameters=1307008,
            paper="this package, after Dosovitskiy et al., ICLR 2021",
            network=lambda input_size, n_classes: vit_tiny(input_size, n_classes=n_classes),
        ),
        ModelSpec(
            id="vit-b-16",
            label="ViT-B/16",
            summary="twelve transformer blocks of width 768, patches of 16 px, 224² input",
            encoder=any_padding(vit_b_16),
            preprocessing=Preprocessing((224, 224), 256),
            target_layer="encoder.encoder.layers.encoder_layer_11.token_map",
            decoder_widths=(256, 128, 64),
            parameters=85798656,
            paper="Dosovitskiy et al., An image is worth 16×16 words, ICLR 2021",
            network=lambda input_size, n_classes: vit_b_16(input_size, n_classes=n_classes),
        ),
    ],
    group="xaieval.models",
)
