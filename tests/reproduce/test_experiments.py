"""How experiments are found and run, whatever is in them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xaieval.errors import ConfigError, ResultsError
from xaieval.outcomes import Claim, Outcome, untested
from xaieval.reproduce import EXPERIMENTS, ExperimentSpec, Setup, find_experiments, run_experiment
from xaieval.reproduce.arms import study_text
from xaieval.study.config import parse_study

CLAIM = Claim("one", "It is so.", "somebody")


def outcome(setup: Setup) -> Outcome:
    return Outcome(findings=(untested(CLAIM, "nothing was run"),))


SPEC = ExperimentSpec(
    id="system/part",
    label="A part",
    summary="Nothing.",
    source="nobody",
    sizes={"small": "nothing"},
    claims=(CLAIM,),
    run=outcome,
)


def test_an_experiment_is_written_and_read_back(tmp_path):
    found = run_experiment(SPEC, Setup(out=tmp_path, size="small", command=("xaieval", "x")))
    assert found.outcome.findings == (untested(CLAIM, "nothing was run"),)
    assert found.about.experiment == "system/part"
    assert found.about.command == ("xaieval", "x")


def test_a_size_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no whole form"):
        run_experiment(SPEC, Setup(out=tmp_path))


def test_every_claim_needs_its_finding(tmp_path):
    silent = replace(SPEC, run=lambda setup: Outcome(findings=()))
    with pytest.raises(ResultsError, match="findings do not match"):
        run_experiment(silent, Setup(out=tmp_path, size="small"))
    assert not (tmp_path / "experiment.json").exists()


def test_an_unknown_system():
    with pytest.raises(ConfigError):
        find_experiments("no-such-system")


@pytest.mark.parametrize("spec", EXPERIMENTS.values(), ids=lambda spec: spec.id)
def test_what_every_experiment_states(spec):
    assert spec.system
    assert spec.name
    assert "tiny" in spec.sizes or set(spec.sizes) == {"whole"}
    ids = [claim.id for claim in spec.claims]
    assert len(set(ids)) == len(ids)
    gates = {gate.id for gate in spec.gates}
    for claim in spec.claims:
        assert claim.text.endswith(".")
        assert set(claim.gates) <= gates
    assert find_experiments(spec.id) == [spec]
    assert spec in find_experiments(spec.system)


def test_a_study_written_from_tables_reads_back():
    text = study_text(
        {
            "study": {"id": "a-b", "title": 'He said "A\\B"'},
            "data": {"name": "synthetic-hazelnut", "options": {"n_per_class": 4, "size": 64}},
            "model": {"arch": "small-cnn", "input_size": [64, 64], "resize": None},
            "train": {"seeds": [1, 2], "lr": 1e-3, "beta": 0.0},
            "explain": {"methods": ["gradcam", {"id": "integrated_gradients", "n_steps": 5}]},
        }
    )
    study = parse_study(text)
    assert study.title == 'He said "A\\B"'
    assert study.data.options == {"n_per_class": 4, "size": 64}
    assert study.train.lr == 1e-3
    assert study.explain.methods[1] == {"id": "integrated_gradients", "n_steps": 5}
    with pytest.raises(ConfigError):
        study_text({"study": {"id": object()}})
