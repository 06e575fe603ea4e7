"""Palette, type scale and spacing of every page, light and dark. No web fonts.

Colours of text, lines and surfaces come from the Material theme, which publishes them as
``--panel-…`` custom properties; own components derive every tone from those, so switching between
light and dark needs no code of theirs. Marks on images do not follow the theme: they sit on the
same mid-grey stage in both.
"""

from __future__ import annotations

from typing import Any

from xaieval.render import TOPK_COLOURS

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'
ACCENT = {"light": "#085a70", "dark": "#63c7e0"}
INK = {"light": "#17191c", "dark": "#e9eaec"}
QUIET = {"light": "#565a60", "dark": "#a2a6ac"}
PAGE = {"light": "#e3e5e7", "dark": "#191b1e"}
SURFACE = {"light": "#f2f3f4", "dark": "#24272b"}
STAGE = "#74777b"
"""Neutral mid-grey behind every image, in both themes."""


LOADING = f"""
#loader:not(.error) {{ background: none; pointer-events: none; justify-content: flex-start; }}
#loader:not(.error) .spinner {{ animation: none; width: 100%; height: 3px; box-sizing: border-box;
  border: 0; border-radius: 0; background: {ACCENT["light"]}; }}
"""
"""While a page is being drawn: a still line at its top. The frame's own sign, a spinner on half
black, lay over what is there already and took the clicks (panel-material-ui 0.16)."""


_DURATIONS = (
    "shortest",
    "shorter",
    "short",
    "standard",
    "complex",
    "enteringScreen",
    "leavingScreen",
)
"""Of Material's transitions: none of them moves, for anybody; a menu is there at once."""
_STILL = {"@media (prefers-reduced-motion: reduce)": {"animation": "none"}}


def _focus(mode: str) -> dict[str, str]:
    return {"outline": f"2px solid {ACCENT[mode]}", "outlineOffset": "2px"}


def _mode(mode: str) -> dict[str, Any]:
    return {
        "palette": {
            "primary": {"main": ACCENT[mode]},
            "text": {"primary": INK[mode], "secondary": QUIET[mode]},
            "background": {"default": PAGE[mode], "paper": PAGE[mode]},
        },
        "typography": {
            "fontFamily": FONT,
            "fontSize": 13,
            "button": {"textTransform": "none", "fontWeight": 500},
        },
        "transitions": {"duration": dict.fromkeys(_DURATIONS, 0)},
        "shape": {"borderRadius": 4},
        "components": {
            "MuiAppBar": {
                "defaultProps": {"elevation": 0},
                "styleOverrides": {
                    "root": {
                        "backgroundImage": "none",
                        "borderBottom": f"1px solid {INK[mode]}22",
                    }
                },
            },
            "MuiToolbar": {
                "styleOverrides": {"root": {"minHeight": "48px !important", "margin": 0}}
            },
            "MuiButtonBase": {
                "defaultProps": {"disableRipple": True},
                "styleOverrides": {"root": {"&.Mui-focusVisible": _focus(mode)}},
            },
            # Without them no focus is seen where the ripple is off.
            "MuiSlider": {"styleOverrides": {"thumb": {"&.Mui-focusVisible": _focus(mode)}}},
            "MuiOutlinedInput": {
                "styleOverrides": {
                    "root": {
                        "&.Mui-focused .MuiOutlinedInput-notchedOutline": {
                            "borderColor": ACCENT[mode],
                            "borderWidth": "2px",
                        }
                    }
                }
            },
            "MuiMenu": {"defaultProps": {"transitionDuration": 0}},
            "MuiPopover": {"defaultProps": {"transitionDuration": 0}},
            "MuiToggleButton": {"styleOverrides": {"root": {"color": INK[mode]}}},
            "MuiLinearProgress": {"defaultProps": {"aria-label": "Progress"}},
            "MuiCircularProgress": {"defaultProps": {"aria-label": "Progress"}},
            "MuiSkeleton": {"styleOverrides": {"root": _STILL}},
        },
    }


THEME = {"light": _mode("light"), "dark": _mode("dark")}

TOKENS = f"""
:host {{
  --ink: var(--panel-on-background-color, {INK["light"]});
  --quiet: color-mix(in srgb, var(--ink) 72%, transparent);
  --line: color-mix(in srgb, var(--ink) 14%, transparent);
  --page: var(--panel-background-color, {PAGE["light"]});
  --raised: color-mix(in srgb, var(--page) 90%, var(--ink) 3%);
  --accent: var(--panel-primary-color, {ACCENT["light"]});
  --stage: {STAGE};
  --hit: {TOPK_COLOURS["hit"]};
  --miss: {TOPK_COLOURS["miss"]};
  --false-alarm: {TOPK_COLOURS["false_alarm"]};
  --font: {FONT};
  --t-small: 11px; --t-body: 13px; --t-lead: 15px; --t-title: 18px;
  font-family: var(--font);
  font-size: var(--t-body);
  line-height: 1.4;
  color: var(--ink);
}}
@media (forced-colors: active) {{
  /* What is told by a colour of its own keeps it; everything else follows the person's choice. */
  .key i, .fill, .track, .tick, .ramp, .swatch, .bar-fill, .part {{ forced-color-adjust: none; }}
}}
button.define {{ font: inherit; color: inherit; letter-spacing: inherit; text-align: inherit;
  background: none; border: 0; border-radius: 3px; padding: 0; margin: 0; cursor: help;
  max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: inherit;
  position: relative; text-decoration: underline dotted transparent 1px;
  text-underline-offset: 3px; }}
button.define:hover, button.define:focus-visible {{ text-decoration-color: currentColor; }}
button.define:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
"""
"""Stylesheet that every own component puts first: the tokens all its rules use."""

HIDE_LABEL = """
.MuiFormLabel-root { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); }
"""
"""Keeps a button group's label for assistive technology only."""

HEADER = """
.MuiButton-root { color: var(--panel-primary-color) !important; }
.MuiToggleButton-root { color: var(--panel-on-background-color) !important; font-size: 13px;
  padding: 4px 16px; border-color: transparent !important; background: none !important; }
.MuiToggleButton-root.Mui-selected { font-weight: 700;
  box-shadow: inset 0 -2px var(--panel-primary-color); }
@media (max-width: 900px) { .MuiToggleButton-root { padding: 4px 10px; } }
@media (max-width: 720px) {  /* a small laptop at 200 %: signs without their words */
  :host { margin-left: 0 !important; margin-right: 0 !important; }
  .MuiToggleButton-root { padding: 4px 5px; font-size: 12px; }
  .MuiButton-root { font-size: 0 !important; min-width: 32px; padding: 4px;
    height: 32px; }
  .MuiButton-root .MuiButton-startIcon { margin: 0; }
  .MuiButton-root .MuiButton-startIcon, .MuiButton-root .MuiButton-startIcon * {
    font-size: 18px !important; line-height: 1 !important; }
}
@media (forced-colors: active) {
  .MuiToggleButton-root.Mui-selected { text-decoration: underline; }
}
"""
"""Navigation and buttons of the title bar: plain text on the page's own ground."""

FRAME = {
    "& .MuiAppBar-root": {"bgcolor": "background.default", "color": "text.primary"},
    "& .MuiAppBar-root a": {"color": "inherit"},
    "& .title": {"color": "inherit !important", "fontSize": "18px", "fontWeight": 700},
}
"""The frame of every page steps back behind the images."""
