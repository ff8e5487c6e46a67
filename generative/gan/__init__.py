"""Parts of adversarial models: objectives, constraints of critics, remedies for collapse."""

from generative.gan.conditioning_augmentation import ConditioningAugmentation
from generative.gan.critic_gap import CriticGap, corrected_gap, estimate_earth_movers
from generative.gan.minibatch_features import MinibatchDeviation, MinibatchDiscrimination
from generative.gan.objectives import gan_value, optimal_discriminator
from generative.gan.packing import packed
from generative.gan.unrolling import unrolled

__all__ = [
    "ConditioningAugmentation",
    "CriticGap",
    "MinibatchDeviation",
    "MinibatchDiscrimination",
    "corrected_gap",
    "estimate_earth_movers",
    "gan_value",
    "optimal_discriminator",
    "packed",
    "unrolled",
]
