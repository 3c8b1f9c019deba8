"""Built-in probes: one experiment per file; `PROBES` is what the entry point exposes."""

from .batch_size import BatchSize
from .broadcast import Broadcast
from .collapse import Collapse
from .data import Data
from .determinism import Determinism
from .embedding import Embedding
from .fit import Fit
from .information import Information
from .initial_loss import InitialLoss
from .initialization import Initialization
from .layers import Layers
from .learning_rate import LearningRate
from .lookahead import Lookahead
from .mixing import Mixing
from .noise import Noise
from .objective import Objective
from .overfit import Overfit
from .padding import Padding
from .reduction import Reduction
from .regularization import Regularization
from .regularization_off import RegularizationOff
from .standardised import Standardised
from .wiring import Wiring

# Looks, looks that train, trials: where time is short, the last of a kind lack it first.
PROBES = (
    Data, Broadcast, Mixing, Determinism, Objective, Padding, Lookahead, Reduction, InitialLoss,
    Wiring, Initialization, Layers, Collapse, Regularization, Information, Standardised,
    Noise, RegularizationOff, LearningRate, Overfit, Fit, Embedding, BatchSize,
)
