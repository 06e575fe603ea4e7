"""The report that ships with the built-in study is of its models and of today's methods."""

from __future__ import annotations

from xaieval.methods import resolve_methods
from xaieval.study import demo_results


def test_the_shipped_report_fits_the_shipped_study() -> None:
    demo = demo_results()
    assert (demo.path / "sanity.json").stat().st_size < 50_000
    assert list(demo.sanity) == [path.stem for _, _, path in demo.checkpoints()]
    calls = resolve_methods(list(demo.study.explain.methods))
    for report in demo.sanity.values():
        for call in calls:
            found = report.verdicts.get(call.key)
            assert found is not None, f"{call.key}: run 'xaieval sanity demo --out assets/demo'"
            assert found.method_digest == call.digest, f"{call.key} has another version: as above"
            assert (found.status == "not gated") == call.spec.baseline
            assert len(found.spearman) == (0 if call.spec.baseline else len(report.stages))
