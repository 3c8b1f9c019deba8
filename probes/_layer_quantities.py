"""What the probe `layers` can measure."""

from __future__ import annotations

from auditor.observation import Kind, Quantity, Scope


def _of(scope: Scope, name: str, unit: str, says: str, kind: Kind = "number") -> Quantity:
    return Quantity(name, unit, says, scope, kind)


RECTIFIERS = (
    _of("layer", "dead_share", "share", "units that fired for no input, after the short run"),
    _of("layer", "dead_share_at_start", "share", "units that fired for no input, at the start"),
    _of("layer", "dead_samples", "", "distinct inputs behind the dead shares"),
    _of("layer", "rectifier_units", "", "units or channels of the activation"),
)
BOUNDED = (
    _of("layer", "flat_share", "share", "outputs on the flat parts, after the short run"),
    _of("layer", "flat_share_at_start", "share", "outputs on the flat parts, at the start"),
    _of("layer", "mean_slope", "ratio", "mean derivative over the largest one, after the run"),
)
SIGN = (
    _of("layer", "always_positive", "", "the activation cannot put out negative values", "flag"),
    _of("layer", "mean_to_rms", "ratio", "mean of the activation's output over its rms"),
)
VARIATION = (
    _of("layer", "sample_variation", "ratio",
        "spread over samples over the rms, after the short run"),
    _of("layer", "sample_variation_at_start", "ratio", "the same at the start"),
)
LINEAR = (
    _of("layer", "linear_layers", "", "layers in a row with no non-linearity between"),
    _of("layer", "linear_chain", "", "their names", "text"),
)
DEPTH = (
    _of("layer", "gradient_decades", "decades",
        "gradient at the layer's output over that at the end of its stretch"),
    _of("layer", "gradient_decades_elsewhere", "decades",
        "the same without the one layer at which the gradient shrinks most"),
    _of("layer", "gradient_decades_each", "decades", "the same for each of these layers or steps"),
    _of("layer", "update_lag_decades", "decades",
        "relative update over the largest one of the layers that follow"),
    _of("layer", "relative_update", "ratio", "rms of an update over the rms of the weights"),
    _of("layer", "gradient_way", "", "what the gradient has come through, in words", "text"),
    _of("layer", "layers_below", "", "layers of the stretch that follow, or time steps"),
    _of("layer", "through_time", "", "the stretch is a recurrence without gates", "flag"),
)
GROWTH = (
    _of("layer", "gradient_spike_decades", "decades",
        "largest gradient of the layer's parameters over that of the first step"),
    _of("layer", "depth_growth_decades", "decades",
        "growth of the gradient to the layer's output along layers that alone read the one before; "
        "0 where there is none"),
    _of("layer", "time_growth_decades", "decades",
        "growth of the gradient from the last to the first time steps; 0 without a recurrence"),
    _of("layer", "gradient_growth", "", "the largest of the three in words", "text"),
)
UPDATES = (
    _of("parameter", "update_ratio", "ratio", "rms of an update over the rms of the weights"),
    _of("parameter", "update_share", "share",
        "that ratio over the largest one of layers whose weights have not grown from zero; "
        "of all steps or of the later half, whichever is larger"),
    _of("parameter", "grown_from_zero", "", "the weights started at or near zero", "flag"),
)
RUN = (
    _of("run", "loss_fall_sigmas", "sigma",
        "fall of the loss from the first to the last third of the run, over its own noise"),
    _of("run", "loss_peak_ratio", "ratio",
        "1 plus the loss's rise above its first value, over that, or over its fall if larger"),
    _of("run", "first_update_cosine", "",
        "cosine of the first update and the gradient: -1 straight down, above 0 up"),
    _of("run", "gradient_clip_norm", "", "norm at which one step in ten would be clipped"),
)
FINITE = (
    _of("run", "loss_is_finite", "", "the loss stayed finite in the short run", "flag"),
    _of("run", "fault_step", "", "first step whose loss or gradient was not finite"),
    _of("run", "fault_origin", "", "operation that was the first to break", "text"),
)
GRADIENT_FINITE = (
    _of("parameter", "gradient_is_finite", "", "the gradient stayed finite", "flag"),
)
HALF = (
    _of("layer", "overflow_share", "share", "half-precision values that are infinite"),
    _of("layer", "underflow_share", "share",
        "half-precision gradients below the smallest normal number"),
)
ALL = (
    *RECTIFIERS, *BOUNDED, *SIGN, *VARIATION, *LINEAR, *DEPTH, *GROWTH, *UPDATES, *RUN,
    *FINITE, *GRADIENT_FINITE, *HALF,
)


def names(*groups: tuple[Quantity, ...]) -> tuple[str, ...]:
    """Return the names of all quantities of the groups."""
    return tuple(quantity.name for group in groups for quantity in group)
