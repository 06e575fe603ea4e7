"""The published form: torchvision's ImageNet models as arms, without training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.errors import DataError, ModelError
from xaieval.reproduce.explanation_alignment.zoo import METRICS, Member

if TYPE_CHECKING:
    from xaieval.datasets import Dataset
    from xaieval.reproduce.base import Setup
    from xaieval.study import Results, Study

PUBLISHED = (
    *("convnext_tiny", "convnext_small", "convnext_base", "convnext_large", "efficientnet_v2_s"),
    *("regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf"),
    *("regnet_y_8gf", "regnet_x_16gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_8gf"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnet101", "resnet152", "resnet50"),
    *("wide_resnet50_2", "wide_resnet101_2"),
)
"""The models of ``imagenet_model_comparison``, github.com/mitvis/explanation_alignment."""
METHODS = ("gradcam", "random", "sobel", "centre_prior")
_SEED = 0


def run_imagenet(
    setup: Setup, names: Sequence[str], *, id: str
) -> tuple[dict[str, Results], tuple[Member, ...]]:
    """Score pretrained models on ImageNet with boxes, an arm per model; nothing is trained.

    Images are resized to 256 and cropped to 224 as published; those whose box the crop removes
    have an empty mask and no alignment. Weights are torchvision's default ones, files of their
    published names in ``setup.weights`` (a folder) or in torch's own cache; nothing is downloaded.

    Raises
    ------
    ModelError
        When torchvision or a file of weights is missing.
    DataError
        When the images are missing, or the classes are not numbered as the models' are.
    """
    from xaieval.reproduce.arms import arm_folder, run_arm, study_text
    from xaieval.study.config import parse_study

    files = weight_files(setup, names)
    place = data_folder(setup, "imagenet-boxes")
    arms, members = {}, []
    for name, file in files.items():
        member = Member(name, name, {"architecture": name.partition("_")[0].rstrip("0123456789")})
        study = parse_study(study_text(_tables(setup, name, id)), where=name)
        _place(study, file, place, arm_folder(setup, name))
        arms[name] = run_arm(setup, name, study, data=place, train=False)
        members.append(member)
    return arms, tuple(members)


def weight_files(setup: Setup, names: Sequence[str]) -> dict[str, Path]:
    """Return the file of each model's default weights.

    Raises
    ------
    ModelError
        When some are missing: says which, and where they are published.
    """
    import torch

    from xaieval.models.torchvision_nets import torchvision_models

    models = torchvision_models()
    folder = setup.weights or Path(torch.hub.get_dir()) / "checkpoints"
    urls = {name: str(models.get_model_weights(name).DEFAULT.url) for name in names}
    files = {name: folder / url.rpartition("/")[2] for name, url in urls.items()}
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing:
        shown = ", ".join(urls[name] for name in missing[:3])
        raise ModelError(
            f"{len(missing)} of {len(names)} files of pretrained weights are missing",
            where=folder,
            expected=shown + (", …" if len(missing) > 3 else ""),
            fix="download them into that folder, or name the folder that has them with "
            "--encoder-weights",
        )
    return files


def data_folder(setup: Setup, dataset: str) -> Path:
    """Return a dataset's folder: inside ``setup.data``, that folder itself, or its usual place.

    Raises
    ------
    DataError
        When it is nowhere.
    """
    from xaieval.datasets import DATASETS, locate

    spec = DATASETS[dataset]
    if setup.data is None:
        return locate(spec)
    inside = setup.data / spec.folder if spec.folder else setup.data
    if inside.is_dir():
        return inside
    if spec.detect is not None and spec.detect(setup.data):
        return setup.data
    try:
        return locate(spec)
    except DataError:
        raise DataError(
            f"no {dataset} here", where=setup.data, expected=f"a folder {spec.folder} in it"
        ) from None


def _tables(setup: Setup, name: str, id: str) -> dict[str, dict[str, Any]]:
    data: dict[str, Any] = {
        "name": "imagenet-boxes",
        "options": {"split": "val"},
        # No model trains on these images; both halves are explained.
        "split_scheme": "stratified",
        "test_share": 0.5,
    }
    if setup.samples:
        data["filters"] = {"per_class": setup.samples}
    return {
        "study": {"id": f"{id}-{name}", "title": f"ImageNet: {name}"},
        "data": data,
        "model": {
            "arch": f"torchvision:{name}",
            "input_size": [224, 224],
            "resize": 256,
            "decoder": False,
        },
        "train": {"seeds": [_SEED], "beta": 0.0, "augment": "none"},
        "explain": {"methods": list(METHODS), "compete": ["gradcam"], "target": "predicted"},
        "score": {"metrics": list(METRICS), "regions": ["box"]},
        "run": {"splits": ["train", "test"], "chunk": 64},
    }


def _place(study: Study, file: Path, data: Path, out: Path) -> None:
    """Write a model's weights as the checkpoint of its study; one that fits is kept."""
    from xaieval.digest import digest, digest_file
    from xaieval.models import Card, build, load_weights, save_checkpoint
    from xaieval.models.torchvision_nets import TorchvisionEncoder
    from xaieval.models.weights import load_into
    from xaieval.study.checkpoints import (
        checkpoint_path,
        differences,
        model_settings,
        train_options,
    )
    from xaieval.study.data import open_study_data, study_splits

    dataset = open_study_data(study, data)
    fold = study_splits(study, dataset).folds[0]
    path = checkpoint_path(out, _SEED, 0, 1)
    if path.is_file() and not differences(path, study, dataset, fold, _SEED):
        return
    tensors = load_weights(file)
    _check_classes(dataset, tensors, file)
    config, preprocessing = model_settings(study, len(dataset.class_names))
    net = build(config, seed=0)
    assert isinstance(net.encoder, TorchvisionEncoder), "the study names a torchvision model"
    load_into(net, net.encoder.published(tensors), where=file, what=config.arch)
    card = Card(
        config,
        dataset.class_names,
        preprocessing,
        options=train_options(study),
        seed=_SEED,
        fold=0,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        train_ids_digest=digest(fold.train),
        test_ids_digest=digest(fold.test),
        encoder_weights_sha256=digest_file(file),
        problems=("not trained here: published weights",),
    )
    save_checkpoint(path, net, dataclasses.replace(card, n_train=len(fold.train)))


def _check_classes(dataset: Dataset, tensors: dict[str, Any], file: Path) -> None:
    """Refuse images whose classes are not numbered as the model's outputs."""
    last = [key for key, tensor in tensors.items() if key.endswith("bias") and tensor.ndim == 1][-1]
    outputs = int(tensors[last].shape[0])
    if outputs != len(dataset.class_names):
        raise DataError(
            "the images' classes are not those of the model",
            where=dataset.root or dataset.name,
            expected=f"{outputs} classes, as {file.name} has them",
            got=f"{len(dataset.class_names)} classes",
            fix="put the list of all classes beside the images (imagenet_class_index.json or "
            "LOC_synset_mapping.txt)",
        )
