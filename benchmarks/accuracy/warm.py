"""What audits need and what takes seconds to import: for the process that they are forked from."""

import auditor.probes
import auditor.reports  # noqa: F401
import scipy.stats  # noqa: F401
import torch._dynamo  # noqa: F401

from ..digits import read_once

read_once()
