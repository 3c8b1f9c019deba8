"""The probe that trains on standardised inputs."""

from __future__ import annotations

from builders import observe, target
from tables import mlp, number, table
from torch import nn

from auditor.target import WithLossFunction


def test_standardising_is_tried_only_where_it_can_matter() -> None:
    x, y = table()
    plain, large = (target(mlp, scale * x, y, compute=WithLossFunction(nn.CrossEntropyLoss()))
                    for scale in (1, 1000))

    assert observe("standardised", plain, earlier=[observe("data", plain)]).status \
        == "not-applicable"
    found = observe("standardised", large, earlier=[observe("data", large)])
    assert 0 < number(found, "standardised_loss_ratio") < 1
