"""Built-in remedies: one kind of change per file; `REMEDIES` is what the entry point exposes."""

from .activations import DropLastActivation, LeakyRelu, Relu
from .classes import ClassWeights, FocalLoss
from .clip import Clip
from .decay import DecayOff, DecayUp, L1Penalty
from .direction import LowerLoss
from .dropout import DropoutInTraining, DropoutLower, DropoutOn
from .initialisation import Reinitialise, ReinitialiseBefore, ZeroBiases
from .losses import IgnorePadding, LogitsLoss
from .lsuv import Lsuv
from .modes import TrainMode, UsualMomentum
from .normalisation import Normalise, OverGroups
from .order import Shuffle
from .parameters import AllParameters, RegisterLayers
from .rate import LowerRate, SuggestedRate
from .samples import DropSamples
from .sampling import BalancedSampling, DropLast, LargerBatch
from .shapes import AlignShapes
from .standardise import Standardise
from .warmup import WarmUp

REMEDIES = (
    Reinitialise, ReinitialiseBefore, Lsuv, ZeroBiases, SuggestedRate, LowerRate, WarmUp, Clip,
    Relu, LeakyRelu, DropLastActivation, LogitsLoss, IgnorePadding, AlignShapes, Standardise,
    Normalise, OverGroups, AllParameters, RegisterLayers, TrainMode, UsualMomentum, Shuffle,
    ClassWeights, FocalLoss, BalancedSampling, LargerBatch, DropLast, DecayOff, DecayUp,
    L1Penalty, DropoutLower, DropoutOn, DropoutInTraining, DropSamples, LowerLoss,
)
