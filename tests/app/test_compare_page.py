"""The Compare page without a browser: models side by side, alignment, what links restore."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import param
import pytest
from by_hand import write_results

from app.pages._compare_alignment import Ask, compute_aligned
from app.pages._compare_cards import compose_models
from app.pages._compare_models import Model, chosen, first_choice, offered, seat, short_labels
from app.pages.compare import ComparePage
from app.services import Services
from app.state import MOST_MODELS, AppState, read_link, write_link
from xaieval.backend import Answer, Backend
from xaieval.cache import HeatmapCache
from xaieval.digest import url_id
from xaieval.errors import ModelError
from xaieval.study import Results
from xaieval.study.opening import open_folders


@pytest.fixture(scope="module")
def services(arms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("maps")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder))
    opened = open_folders([str(arms)])
    services = Services(opened, backend=backend)
    yield services
    services.pool.shutdown()
    services.later.shutdown()
    backend.close()


def page_of(services: Services, **state: Any) -> ComparePage:
    return ComparePage(AppState(page="compare", **state), services)


def shown(page: ComparePage) -> dict[str, Any]:
    asyncio.run(page._refresh_cards())
    view: dict[str, Any] = page.walls[0]._full
    return view


MODELS = ("long/seed-1", "long/seed-2", "short/seed-1")


def test_models_of_one_dataset_are_offered(services: Services):
    found = offered(services, "long")
    assert tuple(model.id for model in found) == MODELS
    assert [model.id for model in offered(services, "short")] == [MODELS[2], *MODELS[:2]]
    assert [model.id for model in first_choice(found)] == [MODELS[0], MODELS[2]]
    assert [model.id for model in first_choice(found[:2])] == list(MODELS[:2])
    assert chosen(found, ["nope/seed-1", MODELS[1]])[1] == ["nope/seed-1"]


def test_names_are_as_short_as_they_can_be():
    a, b, c = (Model(f"{s}/seed-{n}", s, n, s.upper()) for s, n in (("a", 1), ("a", 2), ("b", 1)))
    assert short_labels([a, c]) == {"a/seed-1": "A", "b/seed-1": "B"}
    assert short_labels([a, b]) == {"a/seed-1": "seed 1", "a/seed-2": "seed 2"}
    assert short_labels([a, b, c])["a/seed-2"] == "A · seed 2"


def test_cards_stand_side_by_side(services: Services):
    view = shown(page_of(services, models=MODELS, region="mouth"))
    assert view["status"] == "ready"
    assert [card["key"] for card in view["cards"]] == list(MODELS)
    assert {card["state"] for card in view["cards"]} == {"ready"}
    rows = {row["label"]: row["text"] for row in view["cards"][0]["rows"]}
    assert rows["Image seen"] == "not in training"
    assert "Accuracy, test" in rows
    assert "Mass accuracy" in rows
    assert rows["Predicted"][0] in "✓✗"
    places = [badge["text"] for card in view["cards"] for badge in card["badges"]]
    assert sum("1st" in text for text in places) >= 1
    assert view["verdict"]["text"].startswith("Mass accuracy: ")
    assert {"name": "Scored", "value": "mouth", "note": "6.2% of the image"} in view["facts"]
    assert [it["name"] for it in view["regions"]["list"][:3]] == ["eyes", "mouth", "nose"]


def test_shares_follow_the_cards(services: Services):
    page = page_of(services, models=MODELS[:2])
    shown(page)
    assert set(page.walls[0].shares["maps"]) == set(MODELS[:2])


def test_a_model_without_the_image_says_so(services: Services, tmp_path: Path):
    models = offered(services, "long")
    found = seat(services, models[0], url_id("images/elsewhere"), "test")
    assert found.checkpoint is None
    assert "not among" in found.why


def test_an_image_that_a_model_trained_on_is_marked(services: Services):
    page = page_of(services, models=MODELS[:2], split="train")
    view = shown(page)
    rows = {row["label"]: row["text"] for row in view["cards"][0]["rows"]}
    assert rows["Image seen"] == "in training"


def ask_of(page: ComparePage) -> Any:
    """The question and the answers behind what the page shows."""
    found: dict[str, Any] = {}
    real = page.comparing.ask

    async def keep(question: Any) -> None:
        found["question"] = question
        await real(question)

    page.comparing.ask = keep  # type: ignore[method-assign]
    shown(page)
    assert page.comparing._last is not None
    return found["question"], page.comparing._last[1]


def test_other_pictures_stand_apart(services: Services):
    page = page_of(services, models=MODELS[:2])
    question, answers = ask_of(page)
    scenes = asyncio.run(page.comparing._scenes(question))
    other = dataclasses.replace(scenes[MODELS[1]], key="otherpicture")
    views = compose_models(services, question, scenes | {MODELS[1]: other}, answers)
    assert [[card["key"] for card in view["cards"]] for view in views] == [[MODELS[0]], [MODELS[1]]]
    assert views[1]["picture"]["id"] == "picture-otherpicture"
    page._show(views, [])
    assert len(page._wall_column) == 2
    page._show(views[:1], [])
    assert len(page._wall_column) == 1


def test_answers_fill_in_and_errors_keep_their_place(services: Services):
    page = page_of(services, models=MODELS)
    question, answers = ask_of(page)
    scenes = asyncio.run(page.comparing._scenes(question))
    some: dict[str, Answer | BaseException] = {MODELS[0]: answers[MODELS[0]]}
    some[MODELS[1]] = ModelError("damaged weights")
    (view,) = compose_models(services, question, scenes, some)
    assert [card["state"] for card in view["cards"]] == ["ready", "undefined", "loading"]
    assert view["cards"][1]["note"] == "damaged weights"
    assert (view["status"], view["verdict"]) == ("loading", None)
    assert view["progress"]["text"] == "2 of 3 models"


def test_the_newest_question_wins(services: Services):
    page = page_of(services, models=MODELS[:2])

    async def two() -> None:
        first = asyncio.create_task(page._refresh_cards())
        await asyncio.sleep(0)
        with param.parameterized.discard_events(page.state):
            page.state.models = MODELS[1:]
        page._settle()
        await asyncio.gather(first, page._refresh_cards())

    asyncio.run(two())
    assert [card["key"] for card in page.walls[0]._full["cards"]] == list(MODELS[1:])


def test_a_link_restores_everything(services: Services):
    page = page_of(services, models=MODELS[1:], method="saliency", region="nose", measure="auroc")
    link = write_link(page.state)
    values, problems = read_link(link)
    assert not problems
    assert values["models"] == MODELS[1:]
    again = AppState()
    again.restore(link)
    other = ComparePage(again, services)
    assert [model.id for model in other.models] == list(MODELS[1:])
    assert (other.method, other.region, other.metric) == ("saliency", "nose", "auroc")
    assert write_link(page_of(services).state) == "?page=compare"


@pytest.mark.parametrize(
    "part",
    [
        "models=demo",
        "models=demo/42",
        "models=demo/seed-",
        "models=demo/seed-x",
        "models=" + "+".join(f"a/seed-{i}" for i in range(MOST_MODELS + 1)),
        "parts=+++",
        "parts=%2500",
        "of=42",
        "images=most",
        "points=2",
        "cell=",
        "cell=both",
    ],
)
def test_bad_values_are_told_and_fall_back(part: str):
    values, problems = read_link(f"?split=test&{part}")
    assert values == {"split": "test"}
    assert len(problems) == (0 if part == "cell=" else 1)


def test_names_with_spaces_and_signs_survive_a_link():
    state = AppState(parts=("left eye", "50%", "a+b", "l_brow"), models=("my study/seed-1",))
    again = AppState()
    again.restore(write_link(state))
    assert (again.parts, again.models) == (state.parts, state.models)
    assert not again.notices


def test_unknown_models_are_told(services: Services):
    page = page_of(services, models=("gone/seed-7",))
    assert "gone/seed-7" in page.state.notices[0]
    assert [model.id for model in page.models] == [MODELS[0], MODELS[2]]


def test_models_come_and_go(services: Services):
    page = page_of(services, models=MODELS[:2])
    page._toggle(MODELS[2])
    assert page.state.models == MODELS
    page._toggle(MODELS[0])
    assert page.state.models == MODELS[1:]
    page.controls.models.value = []
    assert page.controls.models.value == list(MODELS[1:])  # at least one stays
    page._toggle("other/seed-1")
    assert "another dataset" in page.state.notices[-1]


def test_the_figure_names_its_models_and_hears_taps(services: Services):
    page = page_of(services, models=MODELS[:2])
    asyncio.run(page._refresh_alignment())
    page.alignment.mark(MODELS[:2])
    found = page.alignment._aligned
    assert found is not None
    assert tuple(found.rows.data["id"]) == MODELS
    assert found.rows.selected.indices == [0, 1]
    assert page.alignment._table.object.count("●") == 3  # two rows and the caption
    found.rows.selected.indices = [2]
    assert page.state.models == MODELS
    assert found.rows.selected.indices == [0, 1, 2]


def test_nothing_to_set_against_accuracy(services: Services):
    asked = Ask("iou", "gradcam", "", "all")
    assert compute_aligned(services.results, asked, "light") is None
    page = page_of(services, method="gradcam", measure="iou")
    asyncio.run(page._refresh_alignment())
    assert 'data-state="empty"' in page.alignment._empty.object
    assert not page.alignment._tools.visible


def test_results_without_models_say_so(tmp_path: Path):
    def half(*_: Any) -> float:
        return 0.5

    out = write_results(tmp_path / "out", half, samples={"a": "x"}, regions=("defect",))
    services = Services({"demo": Results(out)}, backend=object())  # type: ignore[arg-type]
    page = page_of(services)
    view = shown(page)
    assert view["status"] == "empty"
    assert "no trained model" in view["message"]["title"]
    asyncio.run(page._refresh_alignment())
    assert page.alignment._aligned is not None  # its scores can still be shown


def test_a_hidden_page_asks_for_nothing(services: Services):
    page = page_of(services, models=MODELS[:2])
    page.state.page = "explore"
    page.state.models = MODELS[1:]
    assert page._stale
    assert [model.id for model in page.models] == list(MODELS[:2])
    page.state.page = "compare"
    assert [model.id for model in page.models] == list(MODELS[1:])
