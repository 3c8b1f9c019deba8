"""Pictures and tables of what is no curve: features, labels, batch sizes, the hardest samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.observation import Json, Series
from auditor.report import Report

from .bars import Bar, Bars, Span, Spans
from .derived import numeric, rows_of
from .pictures import Picture, Table, pictures_of
from .scales import axis_for, is_drawable
from .shapes import Drawing
from .thumbnails import Sheet, Thumbnail
from .wording import number, prose

_MOST_SPANS, _MOST_BARS = 24, 12


def feature_spans(report: Report) -> Picture | None:
    """Return the ranges of the input features; None where no probe told them."""
    rows = rows_of(report, "input_features")
    layers = {str(row.get("layer")) for row in rows}
    spans = [span for row in rows if (span := _span(row, len(layers) > 1))]
    if not spans:
        return None
    drawn = _largest(spans)
    axis = axis_for((end for span in drawn for end in (span.low, span.high)), is_padded=True)
    chart = Spans("where the input features lie", "; ".join(span.says for span in drawn), axis,
                  tuple(drawn))
    shown = f"{len(drawn)} of {len(spans)} features are drawn, the largest. "
    remarks = (f"{shown if len(drawn) < len(spans) else ''}Line: from smallest to largest value. "
               "Box: one standard deviation to each side of the mean.",)
    values = tuple((span.label, *map(number, (span.low, span.high, span.mean, span.std)))
                   for span in spans)
    return Picture(chart, remarks, ("feature", "smallest", "largest", "mean", "std"), values)


def _span(row: Mapping[str, Json], has_layers: bool) -> Span | None:
    ends = [numeric(row.get(name)) for name in ("min", "max", "mean", "std")]
    feature = prose(str(row.get("feature")))
    of = f" of {prose(str(row.get('layer')))}" if has_layers else ""
    return Span(f"{feature}{of}", *ends) if all(map(is_drawable, ends)) else None


def _largest(spans: Sequence[Span]) -> list[Span]:
    by_size = sorted(spans, key=lambda span: -max(abs(span.mean), span.std))[:_MOST_SPANS]
    return [span for span in spans if span in by_size]


def label_shares(report: Report) -> Picture | None:
    """Return the shares of the classes; None where no probe counted them."""
    rows = rows_of(report, "label_counts")
    names = [prose(str(row.get("class"))) for row in rows]
    counts = {split: [numeric(row.get(split)) for row in rows]
              for split in ("training", "validation")}
    known = {split: values for split, values in counts.items()
             if values and all(map(is_drawable, values)) and sum(values) > 0}
    if "training" not in known:
        return None
    shares = {split: [value / sum(values) for value in values]
              for split, values in known.items()}
    head = ("class", *known, *(f"share of {split}" for split in known))
    table = tuple((name, *(number(int(values[i])) for values in known.values()),
                   *(f"{100 * values[i]:.1f} %" for values in shares.values()))
                  for i, name in enumerate(names))
    if len(names) <= _MOST_BARS:
        return Picture(_share_bars(names, shares), (), head, table)
    return Picture(_share_lines(report, shares), (), head, table)


def _share_bars(names: Sequence[str], shares: Mapping[str, Sequence[float]]) -> Bars:
    bars = []
    for i, name in enumerate(names):
        told = [f"{100 * values[i]:.1f} %" for values in shares.values()]
        share = shares["training"][i]
        bars.append(Bar(f"class {name}", share, share, " / ".join(told)))
    return Bars(f"share of each class ({' / '.join(shares)})",
                "; ".join(f"{bar.label}: {bar.says}" for bar in bars), tuple(bars))


def _share_lines(report: Report, shares: Mapping[str, Sequence[float]]) -> Drawing:
    series = [Series("label_shares", split, tuple(map(float, range(len(values)))), tuple(values),
                     "class, by frequency", "share") for split, values in shares.items()]
    return pictures_of(report, series)[0].chart


def batch_table(report: Report) -> Table | None:
    """Return speed, memory and rate of the timed batch sizes; None where none was timed."""
    rows = tuple(tuple(number(row.get(name)) for name in
                       ("batch_size", "samples_per_second", "memory_mb", "lr"))
                 for row in rows_of(report, "batch_sizes"))
    head = ("batch size", "samples a second", "memory of a step, MB", "matching learning rate")
    return Table("batch sizes", head, rows) if rows else None


def hardest_samples(report: Report) -> Picture | Table | None:
    """Return the samples with the largest losses, as pictures where the inputs are images."""
    rows = rows_of(report, "hardest_samples")
    if not rows:
        return None
    title = "the hardest training samples, by their loss at the end"
    head = ("sample", "loss", "target", "prediction")
    values = tuple((number(row.get("index")), number(row.get("loss")), number(row.get("target")),
                    number(row.get("prediction"))) for row in rows)
    found = [_thumbnail(row) for row in rows]
    samples = [sample for sample in found if sample]
    if not samples:
        return Table(title, head, values)
    says = "; ".join(", ".join(sample.lines) for sample in samples)
    return Picture(Sheet(title, says, tuple(samples)), (), head, values)


def _thumbnail(row: Mapping[str, Json]) -> Thumbnail | None:
    picture = row.get("picture")
    pixels = tuple(tuple(numeric(v) for v in line) if isinstance(line, list) else ()
                   for line in (picture if isinstance(picture, list) else ()))
    if not pixels or not all(line and all(map(is_drawable, line)) for line in pixels):
        return None
    said = f"target {number(row.get('target'))}, said {number(row.get('prediction'))}"
    loss = f"loss {number(row.get('loss'))}, no. {number(row.get('index'))}"
    return Thumbnail(pixels, (said, loss))
