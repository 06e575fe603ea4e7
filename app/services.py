"""What every session of the process shares: opened studies, the one backend, drawn images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.errors import ConfigError, XaievalError
from xaieval.journal import Journal
from xaieval.methods import MethodCall
from xaieval.render import data_uri, thumbnail
from xaieval.sanity import Verdict, verdicts
from xaieval.story import Stories
from xaieval.study import Results, demo_results
from xaieval.study.opening import open_results, readable_keys
from xaieval.triage import TriageTable, open_triage
from xaieval.types import Heatmap, Sample, Score

from .catalogue import Catalogue
from .cutting import Cuts, cut
from .kept import MIB, Kept
from .regions import shares
from .scene import Scene, make_scene
from .scorecard import Drawn, Topk, draw, draw_topk, rate


@dataclass(frozen=True)
class Problem:
    """An argument that could not be opened: what the page says about it."""

    argument: str
    text: str


class Services:
    """Opened results by id, what could not be opened, and the backend (started when first used).

    Attributes
    ----------
    results : dict id -> Results, in the order of the command line
    problems : tuple of Problem
    pool : ThreadPoolExecutor
        For reading, scoring and encoding; models run in the backend only.
    later : ThreadPoolExecutor
        The same for what nobody waits for yet: neighbours, thumbnails.
    journal : Journal
        Tags, notes, saved views.
    composed : Kept
        Whole views by their wish, so that one seen before waits for nothing (``Explaining``).
    stories : Stories
        Pinned views, shared with every session and command of this person.
    """

    def __init__(
        self,
        results: dict[str, Results],
        problems: tuple[Problem, ...] = (),
        *,
        backend: Backend | None = None,
    ) -> None:
        self.results = results
        self.problems = problems
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="xaieval-page")
        self.later = ThreadPoolExecutor(1, thread_name_prefix="xaieval-later")
        self.stories = Stories()
        self._backend = backend
        self._catalogues: dict[str, Catalogue | None] = {}
        self._lock = threading.Lock()
        # About what 25 images with eight methods take at 224 px; a long session stays there.
        self._samples, self._scenes = Kept(24), Kept(256, 16 * MIB)
        self._drawn, self._topk, self._rated = Kept(512, 8 * MIB), Kept(1024, 4 * MIB), Kept(2048)
        self._cuts = Kept(512, 8 * MIB)
        self.composed = Kept(32, 20 * MIB)
        self._thumbs, self._shares = Kept(4096, 12 * MIB), Kept(2048)
        self._tables: dict[tuple[str, str, str | None], TriageTable] = {}
        self._views, self._reading = Kept(12), threading.Lock()
        self.journal = Journal()

    def private(self) -> Services:
        """Return the same services with a memory of their own, small, that goes with its owner.

        For what one session alone may see: own images, own masks, edited pictures.
        """
        found = copy(self)
        found._samples, found._scenes = Kept(4), Kept(24)
        found._drawn, found._topk, found._rated = Kept(96), Kept(128), Kept(256)
        found._cuts = Kept(48)
        found._thumbs, found._shares = Kept(16), Kept(96)
        return found

    @property
    def backend(self) -> Backend:
        """The process's one backend."""
        return self._backend or shared_backend()

    def key_of(self, study: str) -> str:
        """Return the key of opened results: the name itself, else the first of that study.

        Keys of several results of one study end in their folders' names, which a link from
        elsewhere cannot know.
        """
        if study in self.results:
            return study
        named = (key for key, results in self.results.items() if results.study.id == study)
        return next(named, study)

    def catalogue(self, study: str) -> Catalogue | None:
        """Return the images of a study; None when it has none (published runs).

        Raises
        ------
        XaievalError
            When the study's images are not where it says.
        """
        with self._lock:
            if study not in self._catalogues:
                results = self.results[study]
                dataset = results.dataset()
                self._catalogues[study] = None if dataset is None else Catalogue(results, dataset)
            return self._catalogues[study]

    def grown(self, opened: Results) -> None:
        """Take over results that were opened again after a run; new views see what they gained."""
        for key, results in list(self.results.items()):
            if results.path.resolve() == opened.path.resolve():
                with self._lock:
                    self.results[key] = opened
                    self._catalogues.pop(key, None)
                self.composed.clear()

    def verdicts(
        self, study: str, checkpoint: Path, methods: Sequence[MethodCall]
    ) -> dict[str, Verdict]:
        """Return what the sanity gate said of methods on a model, where it was asked."""
        report = self.results[study].sanity.get(checkpoint.stem)
        if report is None:
            return {}
        return verdicts(report, {call.key: (call.digest,) for call in methods})

    def sample(self, study: str, sample_id: str) -> Sample:
        """Return a sample; the last few keep their pixels."""

        def open_sample() -> Sample:
            catalogue = self.catalogue(study)
            if catalogue is None:
                raise ConfigError("published results hold no images", where=study)
            return catalogue.dataset[sample_id]

        return self._samples.get((study, sample_id), open_sample)

    def scene(self, study: str, sample_id: str, checkpoint: Path, *, region: str = "") -> Scene:
        """Return a sample as a model sees it; the mask is a region's, '' the first one's."""
        key = (study, sample_id)
        return self.scene_of(key, lambda: self.sample(*key), checkpoint, region=region)

    def scene_of(
        self,
        key: tuple[str, ...],
        read: Callable[[], Sample],
        checkpoint: Path,
        *,
        region: str = "",
    ) -> Scene:
        """Return the scene of a sample that ``key`` stands for, ``read`` when it is not there."""
        preprocessing = self.backend.classifier(checkpoint).preprocessing
        first: Scene = self._scenes.get(
            (*key, preprocessing), lambda: make_scene(read(), preprocessing)
        )
        if region in ("", first.region):
            return first
        return self._scenes.get((*key, preprocessing, region), lambda: first.of(region))

    def drawn(self, heatmap: Heatmap) -> Drawn:
        """Return a heatmap ready for the browser; equal values are drawn once."""
        return self._drawn.get(_content(heatmap), lambda: draw(heatmap))

    def topk(self, heatmap: Heatmap, scene: Scene, k: int, threshold: float | None = None) -> Topk:
        """Return a Top-K overlay ready for the browser, or one of all pixels from a threshold."""
        return self._topk.get(
            (_content(heatmap), scene.mask_key, k if threshold is None else threshold),
            lambda: draw_topk(heatmap, scene.mask, k, threshold),
        )

    def cuts(self, heatmap: Heatmap, scene: Scene, end: int) -> Cuts:
        """Return a map's tables for every K up to ``end`` and every threshold."""
        return self._cuts.get(
            (_content(heatmap), scene.mask_key, end), lambda: cut(heatmap, scene.mask, end)
        )

    def rate(
        self, maps: dict[str, Heatmap], scene: Scene, metrics: Sequence[str]
    ) -> dict[str, dict[str, Score]]:
        """Score maps against a scene's mask; what was scored before is looked up."""
        contents = {key: (_content(h), scene.mask_key, tuple(metrics)) for key, h in maps.items()}
        found: dict[str, dict[str, Score]] = {}

        def fresh() -> dict[str, dict[str, Score]]:
            if not found:
                found.update(rate(maps, scene.mask, metrics, reason=scene.reason))
            return found

        return {
            key: self._rated.get(content, lambda key=key: fresh()[key])  # type: ignore[misc]
            for key, content in contents.items()
        }

    def shares(
        self, maps: dict[str, Heatmap], scene: Scene
    ) -> dict[str, dict[str, float | None] | str]:
        """Return each map's share in every region, or why there is none (``regions.shares``)."""
        return {
            key: self._shares.get(
                (_content(heatmap), scene.key),
                lambda heatmap=heatmap: shares(heatmap, scene.regions),  # type: ignore[misc]
            )
            for key, heatmap in maps.items()
        }

    def triage(
        self, study: str, metric: str, region: str | None, method: str | None
    ) -> TriageTable:
        """Return a study's triage table of one score; read once, shared by all sessions.

        Raises
        ------
        XaievalError
            When the results do not have it.
        """
        results = self.results[study]
        with self._reading:  # a second session waits for the first one's reading
            held = [t for t in self._tables.values() if t.results is results]
            key = (study, metric, region)
            table = self._tables.get(key)
            if table is None or table.results is not results:  # else they have grown since
                like = held[0] if held else None
                table = open_triage(results, metric=metric, region=region, like=like)
            self._tables.pop(key, None)
            self._tables[key] = table
            while len(self._tables) > 6:
                self._tables.pop(next(iter(self._tables)))
        return self._views.get((id(table), method), lambda: (table, table.of(method)))[1]

    def thumb(self, study: str, sample_id: str, *, side_px: int = 64) -> str:
        """Return an image's thumbnail as a data URI; '' when the image is damaged."""

        def make() -> str:
            catalogue = self.catalogue(study)
            if catalogue is None:
                return ""
            try:
                image = catalogue.dataset[sample_id].image
            except XaievalError:
                return ""
            return data_uri(thumbnail(image, side_px=side_px), format="jpeg")

        return self._thumbs.get((study, sample_id, side_px), make)


_CONTENTS: WeakKeyDictionary[Heatmap, Hashable] = WeakKeyDictionary()


def _content(heatmap: Heatmap) -> Hashable:
    """Return what is equal for equal heatmaps; computed once for each object."""
    found = _CONTENTS.get(heatmap)
    if found is None:
        data = np.ascontiguousarray(heatmap.values)
        found = (data.shape, blake2b(data, digest_size=16).digest(), heatmap.flags)
        _CONTENTS[heatmap] = found
    return found


@lru_cache(maxsize=1)
def shared_backend() -> Backend:
    """Return the backend of this process."""
    return Backend("auto", cache=HeatmapCache(memory_bytes=24 * MIB))


@lru_cache(maxsize=8)
def open_services(arguments: tuple[str, ...]) -> Services:
    """Open what the command line names; nothing is the demo.

    A name is a results folder, a folder that holds some (an experiment's), or a study's id. A bad
    argument becomes a ``Problem`` that the page shows; the server keeps running.
    """
    opened: list[Results] = []
    problems = []
    for argument in arguments or (None,):
        try:
            opened += [demo_results()] if argument is None else open_results(argument)
        except (XaievalError, OSError) as error:
            problems.append(Problem(argument or "the built-in study", str(error)))
    return Services(readable_keys(opened), tuple(problems))
