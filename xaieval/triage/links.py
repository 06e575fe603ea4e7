"""The address at which the dashboard shows a row."""

from __future__ import annotations

from urllib.parse import urlencode

from xaieval.digest import url_id
from xaieval.triage.columns import Columns


def explore_link(table: Columns, row: int) -> str:
    """Return the query string that opens a row's image under its model in Explore.

    To be put behind the address of a dashboard that serves these results.
    """
    rows = table.rows
    pairs = {
        "study": table.study,
        "split": rows.splits[rows.split[row]],
        "image": url_id(rows.samples[rows.sample[row]]),
        "seed": f"seed-{rows.seed[row]}",
        "metric": table.metric.key,
    }
    if len(table.results.regions) > 1 and table.region in table.results.regions:
        pairs["region"] = table.region
    return "?" + urlencode(pairs)
