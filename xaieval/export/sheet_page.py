"""The sheet of one image as one HTML file that needs no other."""

from __future__ import annotations

from html import escape

from xaieval.figures.sheet import TOPK_NAMES, ImageSheet, SheetPanel, score_text
from xaieval.render import TOPK_COLOURS, data_uri
from xaieval.types import Image

_STYLE = """
:root { color-scheme: light dark; --line: #d0d3d7; --muted: #565a60; --bar: #2b5fb4; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3c4046; --muted: #a2a6ac; --bar: #86b2f5; }
}
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; padding: 0 1rem;
  max-width: 84rem; }
h1 { font-size: 1.3rem; margin: 0 0 .2rem; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p { margin: .3rem 0; max-width: 60rem; }
.muted { color: var(--muted); }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
figure { margin: 0; }
figcaption { font-size: .85rem; margin-top: .25rem; }
img { width: 100%; height: auto; image-rendering: pixelated; display: block; }
.stack { position: relative; display: block; }
.stack svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.stack path { fill: none; vector-effect: non-scaling-stroke; }
.dark { stroke: #000; stroke-width: 2.6px; }
.light { stroke: #fff; stroke-width: 1.2px; }
.pair { display: grid; gap: .35rem; }
.key { display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em;
  vertical-align: -.1em; border: 1px solid var(--muted); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child { text-align: left; }
thead th { vertical-align: bottom; }
.bar { height: .7em; background: var(--bar); }
td:has(.bar) { width: 9rem; }
"""


def sheet_page(sheet: ImageSheet) -> str:
    """Return a sheet as a page: pictures inside, light or dark as the reader's system is."""
    title = f"{sheet.sample_id} · {sheet.study}"
    head = (
        f"<h1>{escape(sheet.where)}</h1>"
        f'<p>{escape(sheet.verdict)} <span class="muted">{escape(sheet.study)}</span></p>'
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{head}\n{sheet_parts(sheet, level=2)}\n</body>\n</html>\n"
    )


def sheet_parts(sheet: ImageSheet, *, level: int = 3) -> str:
    """Return what stands on a sheet's page below its title; headings from a level on."""
    body = [
        f'<p class="muted">{escape(sheet.note)}{_legend(sheet)}</p>',
        '<div class="grid">',
        f"<figure>{_image(sheet, sheet.picture, _picture_alt(sheet))}"
        "<figcaption>the picture as the model sees it</figcaption></figure>",
        f"<div>{_probabilities(sheet)}</div>",
        "</div>",
        f"<h{level}>Heatmaps</h{level}>",
        f'<div class="grid">{"".join(_panel(sheet, panel) for panel in sheet.panels)}</div>',
        _scores(sheet, level),
    ]
    return "\n".join(part for part in body if part)


def _picture_alt(sheet: ImageSheet) -> str:
    mask = f", the mask of {sheet.region} outlined in white" if sheet.has_mask else ""
    return f"{sheet.class_name} {sheet.sample_id}{mask}"


def _image(sheet: ImageSheet, image: Image, alt: str) -> str:
    """Return an image with the mask's border above it, of the same width at any zoom."""
    height, width = image.shape[:2]
    lines = "".join(
        f'<path class="{ink}" d="{sheet.outline}"/>' for ink in ("dark", "light") if sheet.outline
    )
    return (
        f'<span class="stack"><img src="{data_uri(image)}" alt="{escape(alt)}">'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{lines}</svg></span>'
    )


def _legend(sheet: ImageSheet) -> str:
    if not sheet.has_mask:
        return ""
    return "".join(
        f'<span class="key" style="background:{TOPK_COLOURS[key]}"></span>{escape(name)}'
        for key, name in TOPK_NAMES.items()
    )


def _probabilities(sheet: ImageSheet) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{share:.3f}</td>'
        f'<td><div class="bar" style="width:{9 * share:.2f}rem"></div></td></tr>'
        for name, share in sheet.probabilities
    )
    return (
        '<table><thead><tr><th scope="col">class</th><th scope="col">probability</th><td></td>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
        f'<p class="muted">The maps show the evidence for {escape(sheet.target)}.</p>'
    )


def _panel(sheet: ImageSheet, panel: SheetPanel) -> str:
    if panel.values is None:
        text = f"no map: {panel.undefined}"
        return f"<figure><figcaption>{escape(panel.label)}: {escape(text)}</figcaption></figure>"
    of = f"{panel.label} on {sheet.sample_id}"
    images = []
    if sheet.look.show != "topk" or panel.weights is None:
        images.append(_image(sheet, sheet.heat(panel), f"heatmap of {of}"))
    if sheet.look.show != "heatmap" and panel.weights is not None:
        alt = f"Top-K overlay of {of}: hits, misses and false alarms"
        images.append(_image(sheet, sheet.topk(panel), alt))
    return (
        f'<figure class="pair">{"".join(images)}'
        f"<figcaption><b>{escape(panel.head)}</b></figcaption></figure>"
    )


def _scores(sheet: ImageSheet, level: int) -> str:
    """Return the table of scores: a row per method, a column per score."""
    names = list(dict.fromkeys(name for panel in sheet.panels for name in panel.scores))
    if not names:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(panel.head)}</th>'
        + "".join(
            f"<td>{escape(score_text(panel.scores[name])) if name in panel.scores else ''}</td>"
            for name in names
        )
        + "</tr>"
        for panel in sheet.panels
    )
    return (
        f'<h{level}>Scores</h{level}><div class="scroll"><table><thead><tr>'
        '<th scope="col">method</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
