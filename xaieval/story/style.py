"""How the page of a story looks: light or dark as the system is, a slide a printed page."""

STYLE = """
:root { --ink: #17191c; --muted: #565a60; --line: #c9ccd0; --page: #f2f3f4; --raised: #fff;
  --accent: #0a6c86; --bar: #0a6c86; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9eaec; --muted: #a2a6ac; --line: #3a3e44; --page: #191b1e; --raised: #24272b;
    --accent: #63c7e0; --bar: #63c7e0; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 0 clamp(16px, 4vw, 64px) 64px; background: var(--page);
  color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, .slide { max-width: 1280px; margin: 0 auto; }
header { padding: 40px 0 24px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; text-wrap: balance; }
h2 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; text-wrap: balance; }
h3, .sheet h2 { font-size: 17px; margin: 20px 0 8px; }
a { color: var(--accent); }
nav ol { columns: 22em auto; padding-left: 1.6em; }
.muted, .what { color: var(--muted); margin: 0; }
.slide { padding: 24px 0 32px; border-top: 1px solid var(--line); scroll-margin-top: 0; }
.place { float: right; margin: 0 0 0 16px; color: var(--muted);
  font-variant-numeric: tabular-nums; }
.place a, .place .off { display: inline-block; min-width: 24px; line-height: 24px; font-size: 20px;
  text-align: center; text-decoration: none; }
.off { opacity: 0.3; }
.changed { border-left: 3px solid #c77700; padding: 2px 12px; margin: 12px 0; }
.trouble { border: 1px dashed var(--muted); border-radius: 4px; padding: 24px; }
.chart { margin: 20px 0; }
.chart img { display: block; max-width: 100%; margin: 0 auto; background: #fff; border-radius: 4px;
  padding: 8px; max-height: 78vh; }
.sheet { margin: 12px 0; }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr));
  align-items: start; }
figure { margin: 0; }
figcaption { padding-top: 4px; font-size: 13px; }
.stack { position: relative; display: block; background: #74777b; border-radius: 2px;
  overflow: hidden; }
.stack img { display: block; width: 100%; image-rendering: auto; }
.stack svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.stack path { fill: none; vector-effect: non-scaling-stroke; }
.dark { stroke: #000; stroke-width: 2.6px; } .light { stroke: #fff; stroke-width: 1.2px; }
.pair { display: grid; gap: 6px; }
.key { display: inline-block; width: 0.9em; height: 0.9em; margin: 0 0.3em 0 1em;
  vertical-align: -0.1em; border: 1px solid var(--muted); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 3px 10px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
thead th { vertical-align: bottom; color: var(--muted); font-weight: 500; }
.bar { height: 0.7em; background: var(--bar); }
td:has(.bar) { width: 9rem; }
dl { display: flex; flex-wrap: wrap; gap: 4px 24px; margin: 16px 0 8px; font-size: 13px; }
dl div { display: flex; gap: 8px; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--accent); padding: 4px 0; }
code { font-size: 12px; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; margin: 4px 0; padding: 8px 12px; background: var(--raised);
  border-radius: 4px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { padding: 0; background: #fff; color: #000; font-size: 11px; }
  .slide { break-before: page; border: 0; padding: 0; }
  nav, .place a, .place .off { display: none; }
  .grid { grid-template-columns: repeat(5, 1fr); }
}
"""
