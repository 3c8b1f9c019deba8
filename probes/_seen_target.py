"""Finds the target where the batch holds it under a name, or in a place, that says nothing."""

from __future__ import annotations

import torch

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.probe import ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench

from ._firstlook import FirstLook
from ._received import Received
from ._samples import Samples, with_target_at


def with_seen_target(context: ProbeContext, samples: Samples, look: FirstLook) -> Samples:
    """Return the samples with that part of the batches as target which the loss compares with.

    They are returned as they came where that is the target already, where the loss compares with
    something that the step makes of it, and where it compares with the input (autoencoders).

    Args:
        context: Of the probe.
        samples: As `training_samples` gives them.
        look: The loss calls of their first batches.
    """
    wanted = look.main.target if look.main is not None else None
    batch = samples.batches[0] if samples.batches else None
    own = samples.target
    if wanted is None or not wanted.numel() or (
            own is not None and batches.same_values(own[:samples.sizes[0]], wanted)):
        return samples
    places = [place for place, tensor in batches.places_of(batch)
              if tensor.dim() and tensor.shape[0] == samples.sizes[0]
              and batches.same_values(tensor, wanted)]
    # Several may hold the same where the first batch holds one class only.
    if len(places) != 1 or _meets_weights(context, batch, places[0]):
        return samples
    return with_target_at(samples, places[0])


def _meets_weights(context: ProbeContext, batch: object, place: batches.Place) -> bool:
    """Tell whether a layer gets a part of the batch, or what was made of it without weights."""
    received = Received()
    own = batches.private(batch)
    received.begin([dict(batches.places_of(own))[place]])
    with seeded(context.seed):
        bench = Bench(context.target)
        try:
            with torch.no_grad(), watching(bench.model, received, everything=True):
                bench.loss(own)
        except TargetError:
            # Its own step may need gradients; such a batch stays as it came.
            return True
        finally:
            received.end()
            context.note.steps += 1
    return bool(received.layers)
