"""Every page of the table under axe-core, in light and in dark: no serious finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from everywhere import DEEP, faces, shown

from app.pages import PAGES, PageSpec
from xaieval.study import Results

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Any]
NAMES = {spec.id: spec for spec in PAGES}


@pytest.fixture(scope="module")
def url(
    demo_results: Results,
    tmp_path_factory: pytest.TempPathFactory,
    serve: Callable[..., AbstractContextManager[str]],
) -> Iterator[str]:
    """Two studies: one with images and models, one whose images have several regions."""
    home = tmp_path_factory.mktemp("everyone")
    with serve(str(demo_results.path), str(faces(home))) as address:
        yield address


def address(url: str, page_id: str) -> str:
    return f"{url}?page={page_id}" + ("&study=faces" if page_id == "parts" else "")


def serious(page: Page, *, rules: tuple[str, ...] = ()) -> list[str]:
    """Return a line per serious or critical finding of axe-core; print every finding."""
    Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = Axe().run(page, options=options).response
    assert found["passes"], "axe-core looked at nothing"
    bad = []
    for rule in found["violations"]:
        for node in rule["nodes"]:
            why = node["failureSummary"].replace("\n", " ")
            line = f"{rule['impact']} {rule['id']}: {node['target'][-1]} | {why[:200]}"
            print(line)
            if rule["impact"] in ("serious", "critical"):
                bad.append(line)
    return bad


def still(page: Page) -> None:
    """Wait until no colour has changed for some frames."""
    page.wait_for_function(
        f"""() => {{ {DEEP}
          const now = [...deep(document)].filter(seen)
            .map((it) => getComputedStyle(it))
            .map((it) => it.color + it.backgroundColor + it.opacity).join();
          window.frames_alike = now === window.colours_before ? window.frames_alike + 1 : 0;
          window.colours_before = now;
          return window.frames_alike >= 5;
        }}"""
    )


@pytest.mark.parametrize("spec", PAGES, ids=lambda spec: spec.id)
def test_no_serious_finding_in_light_and_dark(
    open_page: OpenPage, url: str, spec: PageSpec
) -> None:
    page = shown(open_page(address(url, spec.id)), spec.id, spec.title)
    assert page.title() == f"{spec.title} · xaieval"
    assert page.evaluate("document.documentElement.lang") == "en"
    assert serious(page) == []
    page.get_by_role("button", name="Toggle theme").click()
    page.wait_for_selector("div.mui-dark")
    page.wait_for_selector("div.mui-light", state="detached")  # widgets turn one after the other
    still(page)
    assert serious(page, rules=("color-contrast",)) == []


@pytest.mark.parametrize("spec", PAGES, ids=lambda spec: spec.id)
def test_every_stop_of_tab_is_seen_and_named(open_page: OpenPage, url: str, spec: PageSpec) -> None:
    """Tab goes through the page from the skip link on; each stop has a name and a visible sign."""
    page = shown(open_page(address(url, spec.id)), spec.id, spec.title)
    stops: list[dict[str, Any]] = []
    for _ in range(80):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            break
        stops.append(stop)
    assert stops[0]["name"] == "Skip to the page"
    assert len(stops) > 6
    assert [s for s in stops if not s["name"]] == []
    assert [s for s in stops if not s["sign"]] == []


STOP = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) { at = at.shadowRoot.activeElement; }
  if (!at || at === document.body) { return null; }
  const root = at.getRootNode();
  const by = (at.getAttribute("aria-labelledby") ?? "").split(" ")
    .map((id) => id && root.getElementById?.(id)?.textContent).filter(Boolean).join(" ");
  let around = "";
  for (let node = at; node && !around; node = node.parentNode ?? node.host) {
    around = node.getAttribute?.("aria-label") ?? "";
  }
  const name = by || at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.title
    || at.textContent.trim() || around;
  // A sign is an outline, a shadow, or a border that the frame around the field gets.
  const marked = [at, at.parentElement, at.nextElementSibling, at.parentElement?.lastElementChild]
    .filter(Boolean).some((node) => {
      const style = getComputedStyle(node);
      return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1)
        || (node.tagName === "FIELDSET" && parseFloat(style.borderTopWidth) >= 2)
        || (node === at.parentElement && /Mui-focused|Mui-focusVisible/.test(node.className))
        || style.boxShadow.includes("0px 0px 0px");
    });
  return {name: name.trim().slice(0, 60), sign: marked, tag: at.tagName, of: at.className};
}"""


def test_help_opens_reads_and_gives_the_focus_back(open_page: OpenPage, url: str) -> None:
    from playwright.sync_api import expect

    page = shown(open_page(address(url, "batch")), "batch", "Batch")
    button = page.get_by_role("button", name="Help", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Help")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading", name="Signs and colours")).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("g")
    page.keyboard.press("e")  # nothing behind the open help moves
    assert "Batch" in page.title()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()


def test_keys_go_to_every_page_but_not_while_somebody_writes(open_page: OpenPage, url: str) -> None:
    from app.shortcuts import LEADERS

    page = shown(open_page(address(url, "batch")), "batch", "Batch")
    for key, page_id in LEADERS.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        shown_title = f"{NAMES[page_id].title} · xaieval"
        page.wait_for_function("title => document.title === title", arg=shown_title)
    page.keyboard.press("g")
    page.keyboard.press("e")
    shown(page, "explore", "Explore")
    field = page.locator("input[type=number], input[type=text], input:not([type])").first
    field.focus()
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.keyboard.press("?")
    assert page.title() == "Explore · xaieval"
    assert page.get_by_role("dialog", name="Help").count() == 0


def test_an_open_menu_has_no_serious_finding(open_page: OpenPage, url: str) -> None:
    page = shown(open_page(address(url, "explore")), "explore", "Explore")
    page.get_by_role("combobox", name="Class", exact=True).click()
    page.get_by_role("menuitem", name="hole", exact=True).wait_for()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Add a method", exact=True).click()  # it has groups
    page.get_by_role("menuitem", name="choose …").wait_for()
    still(page)
    assert serious(page) == []


def test_the_skip_link_leads_into_the_page_and_leaves_the_address(
    open_page: OpenPage, url: str
) -> None:
    page = shown(open_page(address(url, "batch")), "batch", "Batch")
    before = page.url
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(
        f"""() => {{ {DEEP}
          for (const node of deep(document)) {{
            if (node.tagName === "MAIN") {{ return node.getRootNode().activeElement === node; }}
          }}
          return false;
        }}"""
    )
    assert page.url == before
    page.keyboard.press("Tab")
    name = page.evaluate(STOP)["name"]
    assert name not in ("xaieval", "Help", "Toggle theme", *(spec.title for spec in PAGES))
    # `Path` of the address, not of a file: the link itself holds no fragment.
    assert "#" not in Path(page.url).name


def test_nothing_moves_where_somebody_asked_for_less_motion(open_page: OpenPage, url: str) -> None:
    page = shown(open_page(address(url, "explore"), reduced_motion="reduce"), "explore", "Explore")
    moving = page.evaluate(
        f"""() => {{ {DEEP}
          return [...deep(document)].flatMap((node) => node.getAnimations?.() ?? [])
            .filter((it) => it.playState === "running" && it.effect.getTiming().duration > 1)
            .map((it) => it.animationName ?? it.transitionProperty);
        }}"""
    )
    assert moving == []


def test_the_sign_of_loading_is_a_still_line_that_takes_no_click(
    open_page: OpenPage, url: str
) -> None:
    page = shown(open_page(address(url, "explore")), "explore", "Explore")
    style = page.locator("#loader").evaluate(
        """node => {
          node.style.display = "flex";
          const [over, sign] = [node, node.firstElementChild].map((it) => getComputedStyle(it));
          return [over.pointerEvents, over.backgroundImage, sign.animationName, sign.height];
        }"""
    )
    assert style == ["none", "none", "none", "3px"]


def test_forced_colours_keep_what_colours_tell(open_page: OpenPage, url: str) -> None:
    """Windows' high contrast replaces colours; swatches and bars keep theirs, text gets its own."""
    page = shown(open_page(address(url, "explore"), forced_colors="active"), "explore", "Explore")
    hit = page.locator(".key i.hit").first
    assert hit.evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(245, 217, 10)"
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    page.get_by_role("button", name="Help", exact=True).click()
    swatch = page.locator("dialog .swatch.hit")
    assert swatch.evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(245, 217, 10)"
