"""What a definition of a number says, and formulas written once: as text and as MathML.

A formula is written on one line: ``[Σ_M R] / [Σ R]``. Brackets ``[ ]`` group and are not seen, a
slash makes a fraction, ``_`` and ``^`` make indices, ``"…"`` is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from xaieval.errors import MetricError

_TOKEN = re.compile(
    r'\s*(?:"(?P<text>[^"]*)"|(?P<number>\d+(?:\.\d+)?)|(?P<word>[^\W\d_]+[′̄]?)|(?P<sign>\S))'
)
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|", "‖": "‖"}
_BIG = {"Σ", "∫", "max", "min", "mean"}


@dataclass(frozen=True)
class NamedVariant:
    """The same question asked by another published system: another key, another pooling.

    Attributes
    ----------
    id : str
        Unique within its definition.
    label : str
    key : str
        Metric key under which the same map is scored.
    source : str
        Who does it so.
    pooling : str, optional
        How the channels become one map before scoring; None: as the method does.
    resize : {"", "half", "any"}
        How the mask is resized: "" nearest, "half" bilinear and above 0.5, "any" bilinear and
        above 0.
    """

    id: str
    label: str
    key: str
    source: str
    pooling: str | None = None
    resize: str = ""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Everything behind a number that a page shows.

    ``formula`` is written as this module reads it; ``plain`` and ``mathml`` show it, ``symbols``
    says what its letters stand for. The rules
    (``pooling``, ``tie_rule``, ``resize``, ``left_out``) are sentences, '' where there is none.
    ``better`` is "higher", "lower" or "" (no quality); ``chance`` says what a map without
    information gets.
    """

    key: str
    label: str
    formula: str
    words: str
    symbols: str = ""
    pooling: str = ""
    tie_rule: str = ""
    resize: str = ""
    left_out: str = ""
    range: str = ""
    better: str = ""
    chance: str = ""
    source: str = ""
    variants: tuple[NamedVariant, ...] = ()

    @property
    def plain(self) -> str:
        """The formula as a line of text."""
        return plain_formula(self.formula)

    @property
    def mathml(self) -> str:
        """The formula as MathML Core."""
        return mathml(self.formula)


def plain_formula(formula: str) -> str:
    """Return a formula as a line of text: groups of several words get round brackets.

    >>> plain_formula("[Σ_M R] / [2 − r]")
    '(Σ_M R) / (2 − r)'
    >>> plain_formula('max_"grid" [K] / N')
    'max_grid K / N'
    """

    def group(match: re.Match[str]) -> str:
        inner = match[1].strip()
        return f"({inner})" if " " in inner else inner

    text = formula
    while "[" in text:
        shorter = re.sub(r"\[([^\[\]]*)\]", group, text)
        if shorter == text:
            raise MetricError("brackets of a formula do not match", got=formula)
        text = shorter
    return text.replace('"', "")


def mathml(formula: str) -> str:
    """Return a formula as MathML Core, which browsers draw by themselves.

    Raises
    ------
    MetricError
        When its brackets do not match.

    >>> mathml("K / N")
    '<math><mrow><mfrac><mi>K</mi><mi>N</mi></mfrac></mrow></math>'
    """
    return f"<math>{_Reader(formula).row('')}</math>"


def _tokens(formula: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (kind, text, whether it follows the last without a space)."""
    place = 0
    while place < len(formula.rstrip()):
        match = _TOKEN.match(formula, place)
        assert match is not None
        joined = not match[0][:1].isspace()
        place = match.end()
        kind = match.lastgroup or ""
        yield kind, match[kind], joined


class _Reader:
    """Reads tokens into MathML, one row at a time."""

    def __init__(self, formula: str) -> None:
        found = list(_tokens(formula))
        self._tokens = [(kind, text) for kind, text, _ in found]
        self._joined = [joined for *_, joined in found]
        self._at, self._formula = 0, formula

    def _next_to(self) -> bool:
        """Whether no space stands before the sign at hand."""
        return self._at < len(self._tokens) and self._joined[self._at]

    def _peek(self) -> str:
        """The sign at hand; '' for anything else."""
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "sign":
            return self._tokens[self._at][1]
        return ""

    def row(self, closing: str) -> str:
        """Read up to a closing sign ('' the end)."""
        parts: list[str] = []
        while self._at < len(self._tokens) and (not closing or self._peek() != closing):
            if self._peek() in (")", "]", "}"):
                raise MetricError("brackets of a formula do not match", got=self._formula)
            parts.append(self._fraction())
        if closing:
            if self._at >= len(self._tokens):
                raise MetricError("brackets of a formula do not match", got=self._formula)
            self._at += 1
        return f"<mrow>{''.join(parts)}</mrow>"

    def _fraction(self) -> str:
        above = self._indexed()
        if self._peek() != "/":
            return above
        self._at += 1
        return f"<mfrac>{above}{self._indexed()}</mfrac>"

    def _indexed(self) -> str:
        base, big = self._atom()
        indices = {}
        while self._peek() in ("_", "^"):
            sign = self._peek()
            self._at += 1
            indices[sign] = self._atom()[0]
        if not indices:
            return base
        below, above = indices.get("_"), indices.get("^")
        names = ("munder", "mover", "munderover") if big else ("msub", "msup", "msubsup")
        tag = names[2] if below and above else names[0] if below else names[1]
        return f"<{tag}>{base}{below or ''}{above or ''}</{tag}>"

    def _atom(self) -> tuple[str, bool]:
        """Return one thing, and whether its indices stand below and above it."""
        if self._at >= len(self._tokens):
            raise MetricError("a formula ends too early", got=self._formula)
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return f"<mtext>{escape(text)}</mtext>", False
        if kind == "number":
            return f"<mn>{text}</mn>", False
        if kind == "word":
            return self._word(text)
        if text == "[":
            return self.row("]"), False
        if text == "√":
            return f"<msqrt>{self._atom()[0]}</msqrt>", False
        if text in _CLOSING:
            closing = _CLOSING[text]
            inner = self.row(closing)
            fence = '<mo fence="true" stretchy="false">{}</mo>'
            row = f"<mrow>{fence.format(text)}{inner}{fence.format(closing)}</mrow>"
            return row, False
        return f"<mo>{escape(text)}</mo>", text in _BIG

    def _word(self, text: str) -> tuple[str, bool]:
        if text in _BIG:
            return f"<mo>{text}</mo>", text != "∫"
        name = f"<mi>{text}</mi>"
        if self._peek() == "(" and self._next_to():  # a function and what it is of, as one
            self._at += 1
            inner = self.row(")")
            fence = '<mo stretchy="false">{}</mo>'
            return f"<mrow>{name}{fence.format('(')}{inner}{fence.format(')')}</mrow>", False
        return name, False
