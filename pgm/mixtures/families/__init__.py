"""Laws of rows that components of mixtures follow."""

from pgm.mixtures.families.bernoulli import Bernoulli
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.family import Family
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.product import Product
from pgm.mixtures.families.student_t import StudentT

__all__ = ["Bernoulli", "Categorical", "Family", "Gaussian", "Poisson", "Product", "StudentT"]
