"""Where everything on the filled Batch page stands: headline, figures, tables, their buttons."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.export import Exhibit, View
from xaieval.figures.palette import Mode
from xaieval.study import Results

from ..taps import Mark, Taps
from ..theme import HIDE_LABEL
from . import _batch_html as html
from . import _batch_tests as tests
from ._batch_content import Content
from ._batch_export import Downloads

EXHIBITS: tuple[Exhibit, ...] = ("win-rates", "curves", "accuracy", "ranks", "pairs", "agreement")
_OBSERVATION = '<span class="quiet" aria-hidden="true">One observation is</span>'
UNITS = {"a training seed": "seed", "an image": "image"}


class BatchSections:
    """The filled page: built once, filled from every content.

    Attributes
    ----------
    filled : Column
        What the page shows.
    unit : RadioButtonGroup
        What an observation of the tests is.
    taps : Taps
    """

    def __init__(
        self,
        view: Callable[[], View],
        results: Callable[[], Results],
        *,
        open_: Callable[[Mark, str], None],
        between: tuple[pn.viewable.Viewable, ...] = (),
        below: tuple[pn.viewable.Viewable, ...] = (),
    ) -> None:
        # Figures stand in Panel's own columns: one that enters a pmui.Column after the page is
        # shown is measured before it is laid out, an error in the browser (pmui 0.16, Bokeh 3.9).
        self._content: Content | None = None
        self.downloads = {name: Downloads(view, results, exhibit=name) for name in EXHIBITS}
        self.taps = Taps(open_)
        self.head, self.legend, self.table, self.accuracy = (_html() for _ in range(4))
        self.curve_legend, self.no_curves = _html(), _html(html.no_history())
        self.boxes, self.curves = _figure(), _figure()
        self.unit = pmui.RadioButtonGroup(
            label="One observation is",
            options=UNITS,
            value="seed",
            size="small",
            color="primary",
            stylesheets=[HIDE_LABEL],
            sx={"& .MuiToggleButton-root": {"whiteSpace": "nowrap"}},
            margin=0,
        )
        self.difference, self.question, self.pairs = (_html() for _ in range(3))
        self.ranks = pn.pane.Bokeh(margin=(8, 0), sizing_mode="fixed")
        self.agreement_words, self.agreement_table = _html(), _html()
        self.matrix = _figure()
        files = self.downloads
        self._ranks_tools = pmui.Row(
            files["pairs"].table, files["ranks"].figure, margin=0, sx={"gap": "8px"}
        )
        self._agreement_tools = pmui.Row(
            files["agreement"].table, files["agreement"].figure, margin=0, sx={"gap": "8px"}
        )
        self.filled = pn.Column(
            self.taps,
            self.head,
            section("Win rate over seeds", files["win-rates"].figure, self.legend, self.boxes),
            section("Mean and spread", files["win-rates"].table, self.table),
            section(
                "Is the difference real?",
                self._ranks_tools,
                self.difference,
                self.ranks,
                pmui.Row(
                    _html(_OBSERVATION, wide=False),
                    self.unit,
                    margin=(4, 0),
                    sx={"gap": "8px", "alignItems": "center"},
                ),
                self.question,
                self.pairs,
            ),
            section(
                "Do the scores agree?",
                self._agreement_tools,
                self.agreement_words,
                self.matrix,
                self.agreement_table,
            ),
            *between,
            section(
                "Training", files["curves"].figure, self.curve_legend, self.curves, self.no_curves
            ),
            section("Accuracy", files["accuracy"].table, self.accuracy),
            *below,
            sizing_mode="stretch_width",
            margin=0,
            styles={"gap": "24px"},
        )

    def fill(self, content: Content) -> None:
        """Show a content."""
        last, self._content = self._content, content
        data, results, mode = content.data, content.results, content.mode
        shown: dict[str, Any] = {"labels": content.labels, "mode": mode, "origin": results.kind}
        shown["failed"] = content.failed
        splits = content.view.splits or ("train", "test")
        self.taps.offer(data, content.counts, content.labels)
        self.head.object = html.headline(
            data,
            content.accuracy,
            note=results.note,
            region=results.named_region(content.view.metric, content.view.region or None),
            chance=None if results.kind == "published" else 1 / max(len(results.classes), 1),
            metric=content.view.metric,
            **shown,
        )
        self.legend.object = html.box_legend(data, **shown) + html.hidden_note(content.hidden)
        self.boxes.object = content.boxes
        rows = [row for row in content.stand_ins if row["split"] in splits]
        self.table.object = html.win_table(
            data, opens=self.taps.marks, **shown
        ) + html.stand_in_notes(rows, content.labels)
        self._fill_tests(content, mode)
        self.curve_legend.object = html.curve_legend(splits, mode=mode)
        if last is None or content.curves is not last.curves:
            self.curves.object = content.curves
        self.curves.visible = content.curves is not None
        self.no_curves.visible = content.curves is None
        self.accuracy.object = html.accuracy_html(content.accuracy, mode=mode)

    def _fill_tests(self, content: Content, mode: Mode) -> None:
        found, named = content.tests, (content.labels, content.failed)
        metric = content.view.metric
        score = html.define(metric, found.metrics.get(metric, metric))
        self.difference.object = tests.difference_words(
            found, content.labels, score, content.failed
        )
        self.ranks.visible = found.ranks is not None
        self.ranks.object = found.ranks
        self._ranks_tools.visible = found.compared is not None
        self.downloads["ranks"].figure.visible = found.ranks is not None
        self.unit.disabled = content.results.kind == "published"
        self.question.object = tests.question(content.view.unit) if found.compared else ""
        self.pairs.object = tests.pair_table(found, *named)
        self.agreement_words.object = tests.agreement_words(found)
        self.matrix.visible = self._agreement_tools.visible = found.matrix is not None
        self.matrix.object = found.matrix
        self.agreement_table.object = tests.agreement_table(found)


def section(title: str, tools: pn.viewable.Viewable, *parts: pn.viewable.Viewable) -> pn.Column:
    """Return a titled part of the page with its buttons on the right."""
    name = _html(f"<h2>{title}</h2>", wide=False)
    head = pmui.Row(
        name, pn.layout.HSpacer(), tools, sizing_mode="stretch_width", margin=(0, 0, 4, 0)
    )
    return pn.Column(head, *parts, sizing_mode="stretch_width", margin=0)


@functools.cache
def _style() -> str:
    return html.STYLE + tests.STYLE


def _html(text: str = "", *, wide: bool = True) -> pn.pane.HTML:
    size = {"sizing_mode": "stretch_width"} if wide else {}
    return pn.pane.HTML(text, margin=0, stylesheets=[_style()], **size)


def _figure() -> pn.pane.Bokeh:
    return pn.pane.Bokeh(sizing_mode="stretch_width", margin=0)
