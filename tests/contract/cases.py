"""All entries, in the order of the packages."""

from __future__ import annotations

from tests.contract.energy_cases import CASES as ENERGY
from tests.contract.generative_cases import CASES as GENERATIVE
from tests.contract.pgm_cases import CASES as PGM
from tests.contract.variant_cases import CASES as VARIANTS

CASES = [*PGM, *VARIANTS, *ENERGY, *GENERATIVE]
