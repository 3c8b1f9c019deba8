"""All members of the zoo take their digits from one reading."""

from __future__ import annotations

from benchmarks.digits import read_once

read_once()
