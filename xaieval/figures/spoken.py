"""What a figure in the browser is called for those who do not see it."""

from __future__ import annotations


def spoken(title: str) -> dict[str, str]:
    """Return the attributes of a figure's element: it is a figure, and this is its name.

    The numbers themselves are in the table or the file that belongs to each figure. The role is not
    ``img``: that one may hold nothing that takes the focus, and a figure in the browser does.

    >>> spoken("Win rates")
    {'role': 'figure', 'aria-label': 'Win rates'}
    """
    return {"role": "figure", "aria-label": title}
