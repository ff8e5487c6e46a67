"""Random 32-bit words, to be compared with thresholds instead of drawing from probabilities.

.. math:: P\\bigl(W < (p - \\tfrac12)\\, 2^{32}\\bigr) = p, \\qquad
          W \\sim U\\{-2^{31}, \\dots, 2^{31} - 1\\}
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

__all__ = ["random_words"]

#: From so many words on, setting up a faster generator for each call pays on a CPU.
MANY = 8192


def random_words(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Independent words, uniform over the 32-bit integers.

    On a CPU many words come from SFC64, seeded by the generator, in a third of the time torch's
    own Mersenne twister takes; random numbers are what costs most in a sweep.

    Arguments:
        shape: of the result.
        generator: where it draws from, and on which device.

    Shapes:
        result: ``shape``, int32.

    Reference:
        Doty-Humphrey 2010, PractRand (the generator SFC64).

    Example:
        >>> words = random_words((100, 1000), torch.Generator().manual_seed(0))
        >>> round((words < 0.25 * 2**32 - 2**31).double().mean().item(), 2)
        0.25
    """
    count = prod(shape)
    pairs = (count + 1) // 2
    if generator.device.type == "cpu" and count >= MANY:
        seed = int(torch.randint(2**63 - 1, (1,), generator=generator))
        words = torch.from_numpy(np.random.SFC64(seed).random_raw(pairs).view(np.int32))
    else:
        made = torch.empty(pairs, dtype=torch.int64, device=generator.device)
        words = made.random_(-(2**63), None, generator=generator).view(torch.int32)
    return words[:count].view(shape)
