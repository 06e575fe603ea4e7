"""The best of several methods, chosen on one half of the images and tested on the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from xaieval.errors import ConfigError, ResultsError, unknown
from xaieval.stats.bootstrap import two_way
from xaieval.stats.contrasts import Contrast, contrast
from xaieval.stats.intervals import CONFIDENCE, REPLICATES, FewSeeds, Interval
from xaieval.stats.populations import Frame, need

Half = Literal["first", "second"]


@dataclass(frozen=True)
class SplitHalf:
    """A choice and its test on other images.

    Attributes
    ----------
    chosen : str
        The method with the best mean on the half for choosing.
    choosing : mapping method -> mean score there
    tested : Interval
        The chosen method's mean on the other half.
    against : mapping baseline -> Contrast
        On the other half: "the chosen method scores higher than the baseline", or, of a score of
        which less is better, "the baseline scores higher"; the difference is positive where the
        chosen one is better either way.
    n_choosing : int
        Images of the half for choosing on which every method has a score.
    n_testing : int
        Images of the other half on which the chosen method has one.
    """

    chosen: str
    choosing: Mapping[str, float]
    tested: Interval
    against: Mapping[str, Contrast] = field(default_factory=dict)
    n_choosing: int = 0
    n_testing: int = 0


def halves(images: Iterable[str], *, salt: str = "") -> tuple[frozenset[str], frozenset[str]]:
    """Return two halves of some images, by the digest of their ids: the same ones every time.

    Of an odd number the first half has one more.

    >>> first, second = halves(["a", "b", "c", "d", "e"])
    >>> len(first), len(second), sorted(first | second)
    (3, 2, ['a', 'b', 'c', 'd', 'e'])
    """
    order = sorted(
        set(images), key=lambda name: (hashlib.sha256(f"{salt}\n{name}".encode()).digest(), name)
    )
    middle = (len(order) + 1) // 2
    return frozenset(order[:middle]), frozenset(order[middle:])


def split_half_best(
    frame: Frame,
    *,
    methods: Sequence[str],
    baselines: Sequence[str],
    higher_is_better: bool = True,
    choose_on: Half = "first",
    salt: str = "",
    group: str | None = None,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    few_seeds: FewSeeds = "widen",
    rng: int = 0,
) -> SplitHalf:
    """Choose the method with the best mean on one half; compare it with baselines on the other.

    The best of several methods looks better than it is on the images that chose it; on other
    images it does not.

    Parameters
    ----------
    frame : DataFrame
        ``sample_id, method_id, value`` and, where there are several, ``seed``; of one metric and
        region. To choose, images and seeds on which some method has no score are left out.
    methods, baselines : sequence of str
        Who may be chosen, and against whom the chosen one is tested.
    choose_on : {"first", "second"}
        Which half chooses: run both to see how much hangs on the split.
    salt : str
        Another text makes other halves.
    group : str, optional
        Column of what must not be torn apart, and is drawn as one (several samples of one
        photograph); default: the image.
    replicates, confidence, few_seeds, rng
        As for ``two_way``.

    Raises
    ------
    ResultsError
        When a column is missing, or no image of the choosing half has scores of all methods.
    ConfigError
        For a method without scores, no method at all, or an unknown half.
    """
    need(frame, ["sample_id", "method_id", "value", *([group] if group else [])])
    if choose_on not in ("first", "second"):
        raise unknown("half", choose_on, ("first", "second"))
    if not methods:
        raise ConfigError("no method to choose from", fix="name at least one method")
    there = set(frame["method_id"])
    for name in (*methods, *baselines):
        if name not in there:
            raise unknown("method of these scores", name, map(str, there))
    unit = frame[group or "sample_id"].astype(str)
    first, second = halves(unit, salt=salt)
    choosing = unit.isin(first if choose_on == "first" else second)
    seed = ["seed"] if "seed" in frame else []
    candidates = frame[choosing & frame["method_id"].isin(methods)]
    if candidates.duplicated([*seed, "sample_id", "method_id"]).any():
        raise ResultsError(
            "an image has two scores of one method", fix="filter by metric, region and split"
        )
    wide = candidates.pivot(index=[*seed, "sample_id"], columns="method_id", values="value")
    wide = wide.reindex(columns=list(methods)).dropna()
    if wide.empty:
        raise ResultsError(
            "no image has scores of all methods to choose from", got=", ".join(methods)
        )
    means = {name: float(wide[name].mean()) for name in methods}
    sign = 1.0 if higher_is_better else -1.0
    chosen = max(methods, key=lambda name: sign * means[name])
    rest = frame[~choosing]
    own = rest[rest["method_id"] == chosen]
    against = {}
    for name in baselines:
        other = rest[rest["method_id"] == name]
        against[name] = contrast(
            *((own, other) if higher_is_better else (other, own)),
            cluster=group,
            replicates=replicates,
            confidence=confidence,
            few_seeds=few_seeds,
            rng=rng,
        )
    tested = two_way(
        own,
        cluster=group,
        replicates=replicates,
        confidence=confidence,
        few_seeds=few_seeds,
        rng=rng,
    )
    n_choosing = wide.index.get_level_values("sample_id").nunique()
    return SplitHalf(chosen, means, tested, against, n_choosing, tested.n_images)
