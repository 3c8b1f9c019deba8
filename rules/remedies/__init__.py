"""Built-in remedies: one kind of change per file; `REMEDIES` is what the entry point exposes."""

from .activations import DropLastActivation, LeakyRelu, Relu
from .classes import ClassWeights
from .clip import Clip
from .decay import DecayOff, DecayUp
from .dropout import DropoutLower, DropoutOn
from .initialisation import Reinitialise, ZeroBiases
from .losses import IgnorePadding, LogitsLoss
from .modes import TrainMode, UsualMomentum
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
    DropLastActivation, LogitsLoss, IgnorePadding, AlignShapes, Standardise, Normalise,
    AllParameters, RegisterLayers, TrainMode, UsualMomentum, Shuffle, ClassWeights, DecayOff,
    DecayUp, DropoutLower, DropoutOn, DropSamples,
)
