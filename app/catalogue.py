"""Which images a study offers: by split and class, with the checkpoint that goes with each."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from xaieval.datasets import Dataset, SplitPlan
from xaieval.digest import url_id
from xaieval.methods import METHODS, MethodCall, resolve_methods
from xaieval.study import Results
from xaieval.study.data import study_splits

from .state import ANY


@dataclass(frozen=True)
class Item:
    """One image of the strip."""

    id: str
    sample_id: str
    class_name: str
    has_mask: bool


@dataclass(eq=False)
class Catalogue:
    """The images, seeds and methods of one opened study."""

    results: Results
    dataset: Dataset
    _lists: dict[tuple[str, str], tuple[Item, ...]] = field(default_factory=dict)

    @cached_property
    def plan(self) -> SplitPlan:
        return study_splits(self.results.study, self.dataset)

    @cached_property
    def _roles(self) -> dict[str, dict[str, int]]:
        """Split -> sample id -> the first fold in which the image has that role."""
        roles: dict[str, dict[str, int]] = {"test": {}, "train": {}}
        for fold in self.plan.folds:
            for role, ids in (("test", fold.test), ("train", fold.train)):
                for sample_id in ids:
                    roles[role].setdefault(sample_id, fold.index)
        return {role: ids for role, ids in roles.items() if ids}

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._roles)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.class_names

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The dataset's named regions, in its order."""
        return self.dataset.region_names

    @cached_property
    def default_region(self) -> str:
        """The region that is scored until somebody chooses: the study's first, or the dataset's."""
        named = self.results.study.score.regions
        return named[0] if named else next(iter(self.regions), "")

    def items(self, split: str, class_name: str) -> tuple[Item, ...]:
        """Return the images of a split and class, in the dataset's order."""
        wanted = (split, class_name)
        if wanted not in self._lists:
            names = self.dataset.class_names
            self._lists[wanted] = tuple(
                Item(url_id(record.id), record.id, names[record.label], record.has_mask)
                for record in self.dataset.records
                if (split == ANY or record.id in self._roles.get(split, ()))
                and (class_name == ANY or names[record.label] == class_name)
            )
        return self._lists[wanted]

    def split_of(self, sample_id: str) -> str | None:
        """Return a split that holds an image, test before train."""
        return next((split for split, ids in self._roles.items() if sample_id in ids), None)

    @cached_property
    def checkpoints(self) -> dict[tuple[int, int], Path]:
        """(seed, fold) -> checkpoint."""
        return {(seed, fold): path for seed, fold, path in self.results.checkpoints()}

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({seed for seed, _ in self.checkpoints}))

    def checkpoint(self, seed: int, split: str, sample_id: str) -> Path | None:
        """Return the model of a seed for which an image has the split's role.

        Without a split, the model that did not train on the image.
        """
        split = split if split != ANY else self.split_of(sample_id) or "test"
        fold = self._roles.get(split, {}).get(sample_id)
        return None if fold is None else self.checkpoints.get((seed, fold))

    def any_checkpoint(self, seed: int) -> Path | None:
        """Return the model of a seed for an image that no fold has: the first fold's."""
        folds = sorted(fold for of, fold in self.checkpoints if of == seed)
        return self.checkpoints[seed, folds[0]] if folds else None

    @cached_property
    def methods(self) -> dict[str, MethodCall]:
        """Method key -> call: the study's own first, then everything else in the table."""
        own = resolve_methods(list(self.results.study.explain.methods))
        rest = [m for m in METHODS if m not in {call.id for call in own}]
        return {call.key: call for call in (*own, *resolve_methods(rest))}

    @cached_property
    def own_methods(self) -> tuple[str, ...]:
        """Keys of the study's own methods."""
        return tuple(call.key for call in resolve_methods(list(self.results.study.explain.methods)))

    @cached_property
    def first_methods(self) -> tuple[str, ...]:
        """What is shown until somebody chooses: those that compete, and one baseline beside."""
        own = resolve_methods(list(self.results.study.explain.methods))
        lines = [call.key for call in own if METHODS[call.id].baseline]
        shown = [call.key for call in own if call.key in self.compete] or [own[0].key]
        return (*shown, *lines[:1])

    @cached_property
    def compete(self) -> frozenset[str]:
        """Keys of the methods that compete for wins."""
        named: Any = self.results.compete
        return frozenset(
            key
            for key, call in self.methods.items()
            if key in named or (call.id in named and call.id not in self.methods)
        )

    def find(self, image: str) -> Item | None:
        """Return the image of a url id."""
        return self._by_url.get(image)

    @cached_property
    def _by_url(self) -> dict[str, Item]:
        return {item.id: item for item in self.items(ANY, ANY)}
