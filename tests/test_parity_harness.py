"""The comparison of ``make parity`` itself: it can fail, and feeds an oracle what ours drew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.parity.networks import Net, network
from benchmarks.parity.recording import explained_rows
from benchmarks.parity.rows import Row, compare, difference, interval_loss, ours


def _saliency(net: Net, options: Mapping[str, Any], rows: list[Tensor]) -> Tensor:
    x = net.x.clone().requires_grad_()
    score = net.twin(x).gather(1, net.targets[:, None]).sum()
    return torch.autograd.grad(score, x)[0]


def test_the_worst_image_counts() -> None:
    reference = torch.tensor([1.0, 2.0, 10.0, 0.0]).reshape(2, 1, 1, 2)
    ours = torch.tensor([1.0, 2.1, 10.0, 0.1]).reshape(2, 1, 1, 2)
    assert difference(ours, reference) == pytest.approx(0.05)


def test_nothing_is_proven_by_a_zero_reference_or_another_shape() -> None:
    with pytest.raises(ValueError, match="nothing is compared"):
        difference(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    with pytest.raises(ValueError, match="the reference"):
        difference(torch.ones(1, 3, 2, 2), torch.ones(1, 1, 2, 2))


def test_an_interval_is_wide_for_noise() -> None:
    maps = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    assert interval_loss(maps, maps) == pytest.approx(0, abs=1e-9)
    assert 0 < interval_loss(maps + 0.1 * noise, maps) < 0.05
    assert interval_loss(noise, maps) > 0.9


def test_both_networks_are_one() -> None:
    net = network("relu-cnn")
    with torch.no_grad():
        torch.testing.assert_close(net.module(net.x)["logits"], net.twin(net.x))


@pytest.mark.parametrize(("factor", "status"), [(1.0, "pass"), (1.0002, "fail")])
def test_a_row_fails_where_maps_differ(factor: float, status: str) -> None:
    def reference(net: Net, options: Mapping[str, Any], rows: list[Tensor]) -> Tensor:
        return factor * _saliency(net, options, rows)

    assert compare(Row("saliency", "relu-cnn", "a twin", reference)).status == status


def test_what_goes_wrong_in_a_row_is_its_result() -> None:
    def broken(net: Net, options: Mapping[str, Any], rows: list[Tensor]) -> Tensor:
        raise ZeroDivisionError("by the oracle")

    result = compare(Row("saliency", "relu-cnn", "a twin", broken))
    assert (result.status, result.said) == ("fail", "ZeroDivisionError: by the oracle")
    assert compare(Row("no_such_method", "relu-cnn", "a twin", _saliency)).status == "missing"
    odd = compare(Row("saliency", "relu-cnn", "a twin", _saliency, {"no_such_option": 1}))
    assert odd.status == "fail"
    assert "no_such_option" in odd.said


def test_an_oracle_is_fed_what_ours_drew() -> None:
    net = network("relu-cnn")
    options = {"n_steps": 3}
    maps, rows = explained_rows(net, "integrated_gradients", options, 1, 3)
    shares = torch.tensor([0.5 - 0.15**0.5, 0.5, 0.5 + 0.15**0.5], dtype=torch.float64)
    torch.testing.assert_close(rows, shares[:, None, None, None] * net.x[1])
    torch.testing.assert_close(maps, ours(net, "integrated_gradients", options, 2)[1:])
