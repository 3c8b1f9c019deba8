"""Built-in probes: one experiment per file; `PROBES` is what the entry point exposes."""

from .data import Data
from .information import Information
from .standardised import Standardised

PROBES = (Data, Standardised, Information)
