"""The figures of a results folder, for its report."""

from __future__ import annotations

from xaieval.errors import ResultsError
from xaieval.export import View, export_figure, method_labels, view_boxes
from xaieval.figures import Chart, chart_note, curve_table, draw_chart, print_chart
from xaieval.figures.curves import QUANTITIES
from xaieval.report.blocks import FigureBlock, download, uri, with_note
from xaieval.report.bokeh_items import bokeh_item
from xaieval.study import Results


def study_figures(results: Results, metric: str, *, id: str) -> tuple[FigureBlock, ...]:
    """Return the figures of a results folder: win rates by ``metric`` ("": none), training
    curves, regions.
    """
    blocks = []
    if metric:
        blocks.append(_win_figure(results, metric, id))
    for chart in [*_curves(results), *_regional(results)]:
        figure, name = draw_chart(chart), f"{id}-chart-{chart.id}"
        table = chart.table.to_csv(index=False, lineterminator="\n").encode()
        blocks.append(
            FigureBlock(
                id=name,
                title=chart.title,
                caption=with_note(chart.caption, chart_note(chart)),
                item=bokeh_item(figure, name=name),
                height=figure.height,
                printed=uri(print_chart(chart, format="png"), "image/png"),
                downloads=(download(f"{chart.id}.csv", table),),
            )
        )
    return tuple(blocks)


def _win_figure(results: Results, metric: str, id: str) -> FigureBlock:
    from bokeh.layouts import column

    from xaieval.figures import win_rate_figure

    view = View(metric=metric)
    drawn = win_rate_figure(
        view_boxes(results, view),
        labels=method_labels(results),
        origin=results.kind,
        value_label=f"win rate ({metric})",
    )
    name = f"{id}-chart-win-rates"
    return FigureBlock(
        id=name,
        title="Win rates over seeds",
        caption="A point per seed; box: quartiles; solid: median; dashed: mean; whiskers: seeds "
        "within 1.5 box heights. Hatched: fewer than ten images.",
        item=bokeh_item(column(*drawn.rows, sizing_mode="stretch_width"), name=name),
        height=sum(row.height for row in drawn.rows),
        min_width=90 + 58 * max(len(drawn.boxes.data["id"]) // max(len(drawn.rows), 1), 1),
        printed=uri(export_figure(results, view, format="png"), "image/png"),
    )


def _curves(results: Results) -> list[Chart]:
    """Return training curves as charts; quantities that were not kept are left out."""
    history = results.history()
    charts = []
    for quantity, label in QUANTITIES.items():
        table = curve_table(history, quantity).sort_values(
            ["split", "epoch"], key=lambda s: s == "test" if s.name == "split" else s
        )
        if len(table):
            spread = table["std"].fillna(0)
            charts.append(
                Chart(
                    id=f"curve-{quantity.replace('_', '-')}",
                    kind="lines",
                    title=f"Training: {label}",
                    table=table.assign(low=table["mean"] - spread, high=table["mean"] + spread),
                    x="epoch",
                    y="mean",
                    group="split",
                    low="low",
                    high="high",
                    x_label="epoch",
                    y_label=label,
                    caption=f"Mean ± 1 std over {table['n_seeds'].max()} seeds.",
                )
            )
    return charts


def _regional(results: Results) -> list[Chart]:
    """Return the charts of regions, where several were scored."""
    from xaieval.export.regional import Regional, RegionalView
    from xaieval.study.regional import regional_metrics

    if len(results.regions) < 2 or not regional_metrics(results):
        return []
    regional = Regional.of(results, RegionalView())
    table = regional.table()
    try:
        found = [regional.boxes(table), regional.lift(table), regional.class_regions()[0]]
        falsified = regional.falsification()
    except ResultsError:  # too little is left of these regions to draw
        return []
    return [chart for chart in (*found, falsified and falsified[0]) if chart]
