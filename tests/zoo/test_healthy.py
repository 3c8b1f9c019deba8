"""Healthy set-ups of many kinds raise neither an error nor a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import audit

HEALTHY = Path(__file__).resolve().parents[2] / "benchmarks" / "accuracy" / "healthy"
KINDS = (
    "mlp_he_digits", "mlp_tanh_xavier", "mlp_selu", "cnn_batchnorm_mnist", "cnn_groupnorm",
    "resnet_zero_gamma", "lstm_classifier", "transformer_prenorm", "hf_bert", "hf_gpt2", "hf_vit",
    "autoencoder_conv", "regression_diabetes", "frozen_backbone", "gpt_tied",
)


@pytest.mark.zoo
@pytest.mark.skipif(not HEALTHY.is_dir(), reason="the set-ups lie beside the sources")
@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_set_up_raises_no_alarm(kind: str) -> None:
    report = audit(str(HEALTHY / f"{kind}.py"), budget_seconds=120.0, trials=False)

    alarms = {f.rule: f.title for f in report.findings if f.severity != "info"}
    assert not alarms
