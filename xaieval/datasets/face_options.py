"""The options that every set of faces takes, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from xaieval.errors import ConfigError, unknown
from xaieval.types import Task

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "labels": "attributes",
        "attributes": None,
        "attribute": None,
        "bias": None,
        "bias_rate": 0.95,
        "among": None,
        "split": "auto",
        "test_share": 0.2,
        "split_seed": 0,
        "samples": None,
        "train_samples": None,
    }
)
"""Options that every set of faces takes, with their defaults; see ``FaceOptions``."""
SPLITS = ("auto", "official", "digest")
LABELS = ("attributes", "none")


@dataclass(frozen=True)
class FaceOptions:
    """What is asked of a set of faces.

    Attributes
    ----------
    labels : {"attributes", "none"}
        ``none``: no attribute file is needed; every image is of the one class ``face``.
    attributes : tuple of str or None
        Multi-label over these only, in this order; None: all of the file.
    attribute : str or None
        Single labels instead: the classes ``not A`` and ``A``.
    bias : str or None
        With ``attribute``: a second attribute. Training images are chosen so that the two agree
        (both present or both absent) at ``bias_rate`` and each is present in half of them; the
        others are left out. Test images do not depend on the rate: as many of each of the four
        groups.
    bias_rate : float in [0.5, 1]
        0.5 is an unbiased training set.
    among : tuple of str or None
        Only images that have exactly one of these attributes, such as two hair colours.
    split : {"auto", "official", "digest"}
        CelebA's own partition, or a seeded one; ``auto`` is the official one where it is known
        (an image that it lacks is for training).
    test_share : float in (0, 1)
        Of the seeded split.
    split_seed : int
        Of the seeded split and of every choice of images.
    samples, train_samples : int or None
        At most so many test images, and so many training images; the fewer are among the more.
    """

    labels: str
    attributes: tuple[str, ...] | None
    attribute: str | None
    bias: str | None
    bias_rate: float
    among: tuple[str, ...] | None
    split: str
    test_share: float
    split_seed: int
    samples: int | None
    train_samples: int | None

    @classmethod
    def of(cls, options: Mapping[str, Any], where: str) -> FaceOptions:
        """Return the options found among all of a dataset's.

        Raises
        ------
        ConfigError
            For a value out of range, or options that contradict each other.
        """
        given = {name: options[name] for name in OPTIONS}
        for name, known in (("labels", LABELS), ("split", SPLITS)):
            if given[name] not in known:
                raise unknown(name, given[name], known, where=f"{where}, option {name}")
        for name in ("samples", "train_samples"):
            if given[name] is not None:
                whole(given, name, 1, 10**9, where)
        whole(given, "split_seed", 0, 2**63 - 1, where)
        _share(given, "bias_rate", 0.5, 1.0, where)
        _share(given, "test_share", 0.0, 1.0, where)
        if not 0 < given["test_share"] < 1:
            raise _bad("test_share", "a number between 0 and 1", given["test_share"], where)
        for name in ("attributes", "among"):
            if isinstance(given[name], str):
                raise _bad(name, "a list of names", given[name], where)
            if given[name] is not None:
                given[name] = tuple(map(str, given[name]))
                if len(set(given[name])) != len(given[name]) or not given[name]:
                    raise _bad(name, "different names", given[name], where)
        named = [name for name in ("attributes", "attribute", "among") if given[name] is not None]
        if given["attributes"] is not None and given["attribute"] is not None:
            raise ConfigError(
                "attribute and attributes contradict each other", where=where, fix="give one"
            )
        if named and given["labels"] == "none":
            raise ConfigError(f"labels = 'none' leaves no {named[0]}", where=where)
        if given["bias"] is not None and given["attribute"] is None:
            raise ConfigError("a bias needs the attribute it goes with", where=where)
        if given["bias"] is not None and given["bias"] == given["attribute"]:
            raise ConfigError("an attribute cannot be its own bias", where=where)
        return cls(**given)

    @property
    def task(self) -> Task:
        """Single labels, or attributes."""
        single = self.labels == "none" or self.attribute is not None
        return "single" if single else "multilabel"


def whole(options: Mapping[str, Any], name: str, low: int, high: int, where: str) -> int:
    """Return an option that is a whole number in a range.

    Raises
    ------
    ConfigError
        When it is not.
    """
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _bad(name, f"a whole number from {low} to {high}", value, where)
    return value


def flag(options: Mapping[str, Any], name: str, where: str) -> bool:
    """Return an option that is true or false.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    if not isinstance(options[name], bool):
        raise _bad(name, "true or false", options[name], where)
    return bool(options[name])


def _share(options: Mapping[str, Any], name: str, low: float, high: float, where: str) -> float:
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _bad(name, f"a number from {low:g} to {high:g}", value, where)
    return float(value)


def _bad(name: str, expected: str, got: object, where: str) -> ConfigError:
    return ConfigError(f"bad {name}", where=f"{where}, option {name}", expected=expected, got=got)
