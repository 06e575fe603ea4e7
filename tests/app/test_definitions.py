"""The card behind a number: every key the pages name is known; a map's variants are score()'s."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.composing import Wish
from app.defined_maps import MapAsked, meant_by, other_poolings, own_values, pooled_calls
from app.definitions import Definitions, card_of, provide
from app.services import Services
from app.state import AppState
from xaieval.backend import Backend, Request
from xaieval.cache import HeatmapCache
from xaieval.glossary import define
from xaieval.metrics import parse_metric, score
from xaieval.study import Results

APP = Path(__file__).resolve().parents[2] / "app"


@pytest.fixture(scope="module")
def services(demo_results: Results, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("definitions")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder))
    yield Services({"tiny": demo_results}, backend=backend)
    backend.close()


@pytest.fixture(scope="module")
def wish(services: Services) -> Wish:
    catalogue = services.catalogue("tiny")
    assert catalogue is not None
    item = next(it for it in catalogue.items("test", "all") if it.has_mask)
    return Wish(
        study="tiny",
        sample_id=item.sample_id,
        label=item.class_name,
        class_names=catalogue.classes,
        checkpoint=services.results["tiny"].checkpoints()[0][2],
        methods=tuple(catalogue.methods[key] for key in ("gradcam", "saliency")),
        target="predicted",
        compete=catalogue.compete,
        region=catalogue.default_region,
        regions=catalogue.regions,
    )


def asked(wish: Wish, metric: str, method: str) -> MapAsked:
    found = meant_by(wish, metric, method)
    assert found is not None
    return found


def keys_in_the_sources() -> set[str]:
    pattern = re.compile(r"""(?:data-define=\\?["']|\bdefine\(["']|define: ["'])([a-z_]+)["'\\]""")
    files = [*APP.rglob("*.py"), *APP.rglob("*.js")]
    return {key for file in files for key in pattern.findall(file.read_text(encoding="utf-8"))}


def test_every_key_that_a_page_names_is_defined() -> None:
    keys = keys_in_the_sources()
    assert "survival" in keys
    for key in sorted(keys):
        assert card_of(define(key))["words"], key


def test_a_map_s_values_are_what_score_gives(services: Services, wish: Wish) -> None:
    first = own_values(services, asked(wish, "topk_overlap", "saliency"))
    assert first.more  # its channels can be pooled otherwise
    found = other_poolings(services, asked(wish, "topk_overlap", "saliency"))
    assert not found.more
    rows = {row["id"]: row for row in found.shown["rows"]}
    scene = services.scene(wish.study, wish.sample_id, wish.checkpoint, region=wish.region)
    call = wish.methods[1]
    calls = (call, *pooled_calls(call))
    request = Request(
        checkpoint=wish.checkpoint,
        sample=services.sample(wish.study, wish.sample_id),
        methods=tuple(dict.fromkeys(calls)),
    )
    maps = services.backend.explain(request).maps

    def value(key: str, metric: str) -> float:
        got = score(maps[key].values[None], np.asarray(scene.mask)[None], metrics=[metric])
        return float(got[parse_metric(metric).key][0])

    assert found.shown["subject"]["value"] == repr(value(call.key, "topk_overlap"))
    assert rows["iou"]["value"] == value(call.key, "topk_iou")
    assert rows["ties-favourable"]["value"] == value(call.key, "topk_overlap@ties=favourable")
    for pooled in calls[1:]:
        name = f"pooling-{pooled.options['pooling']}"
        assert rows[name]["value"] == value(pooled.key, "topk_overlap")
    assert {row["id"] for row in first.shown["rows"]} < set(rows)


def test_a_method_of_one_channel_has_no_poolings(services: Services, wish: Wish) -> None:
    found = own_values(services, asked(wish, "mass_accuracy", "gradcam"))
    assert not found.more
    assert "one channel" in found.shown["notes"][0]


def test_scores_of_the_model_are_what_the_run_stored(services: Services, wish: Wish) -> None:
    found = own_values(services, asked(wish, "deletion", "gradcam"))
    assert found.shown["rows"] == []
    assert "asks the model" in found.shown["notes"][0]


def test_what_a_page_does_not_show_has_no_map(wish: Wish) -> None:
    assert meant_by(wish, "iou", "lrp") is None
    assert meant_by(None, "iou", "gradcam") is None


def test_messages_become_cards(services: Services) -> None:
    state = AppState()
    component = Definitions(state, services)
    component._handle_msg({"type": "open", "key": "iou[mean+1std]", "of": "", "asked": 3})
    card = component.card
    assert (card["asked"], card["key"]) == (3, "iou[mean+1std]")
    assert card["mathml"].startswith("<math>")
    assert dict(card["rules"])["Source"].startswith("Boggust")
    component._handle_msg({"type": "open", "key": "nonsense", "asked": 4})
    assert component.card["error"]
    assert component.card["asked"] == 4
    provide(state, "explore", lambda key, of: None)
    component._handle_msg({"type": "open", "key": "iou", "of": "gradcam", "asked": 5})
    assert "subject" not in component.card
