"""Built-in remedies: one kind of change per file; `REMEDIES` is what the entry point exposes."""

from .activations import DropLastActivation, LeakyRelu, Relu
from .classes import ClassWeights
from .clip import Clip
from .decay import DecayDown, DecayOff, DecayUp
from .dropout import DropoutLower, DropoutOff, DropoutOn
from .initialisation import Reinitialise, ZeroBiases
from .losses import IgnorePadding, LogitsLoss, MeanLoss
from .modes import TrainMode
from .normalisation import Normalise
from .order import Shuffle
from .parameters import AllParameters, RegisterLayers
from .rate import LowerRate, SuggestedRate
from .samples import DropSamples
from .shapes import AlignShapes
from .standardise import Standardise
from .warmup import WarmUp

REMEDIES = (
    Reinitialise, ZeroBiases, SuggestedRate, LowerRate, WarmUp, Clip, Relu, LeakyRelu,
    DropLastActivation, LogitsLoss, MeanLoss, IgnorePadding, AlignShapes, Standardise, Normalise,
    AllParameters, RegisterLayers, TrainMode, Shuffle, ClassWeights, DecayOff, DecayDown, DecayUp,
    DropoutOff, DropoutLower, DropoutOn, DropSamples,
)
