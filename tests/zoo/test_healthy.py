"""Healthy set-ups of many kinds raise neither an error nor a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import audit

HEALTHY = Path(__file__).resolve().parents[2] / "benchmarks" / "accuracy" / "healthy"
QUICK = ("mlp_tanh_xavier", "regression_diabetes")
SLOW = (
    "mlp_he_digits", "cnn_groupnorm", "lstm_classifier", "mlp_selu", "cnn_batchnorm_mnist", "resnet_zero_gamma", "transformer_prenorm", "hf_bert",
    "hf_gpt2", "hf_vit", "gpt_tied", "autoencoder_conv", "frozen_backbone",
)


@pytest.mark.zoo
@pytest.mark.skipif(not HEALTHY.is_dir(), reason="the set-ups lie beside the sources")
@pytest.mark.parametrize("kind", (*QUICK, *SLOW))
def test_a_healthy_set_up_raises_no_alarm(kind: str, request: pytest.FixtureRequest) -> None:
    if kind in SLOW and not request.config.getoption("--all-members"):
        pytest.skip("slow member: run by `make zoo`")
    report = audit(str(HEALTHY / f"{kind}.py"), budget_seconds=120.0, trials=False)

    alarms = {f.rule: f.title for f in report.findings if f.severity != "info"}
    assert not alarms
