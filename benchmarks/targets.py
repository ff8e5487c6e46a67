"""How fast is fast enough."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["POSTERIORS", "Target"]

#: On the larger networks the target is this much above what a prototype of the engine reached.
SLACK = 4 / 3


@dataclass(frozen=True)
class Target:
    """Largest accepted time of all posteriors, as a share of pyAgrum's better engine."""

    cold: float
    warm: float


Targets = tuple[Target, Target]


def _both(target: Target) -> Targets:
    return target, target


def _after(cold: float, warm: float) -> Target:
    """The target that follows from what the prototype reached."""
    return Target(cold * SLACK, warm * SLACK)


_SMALL = _both(Target(cold=1.0, warm=0.15))
_MEDIUM = _both(_after(cold=0.6, warm=0.15))
_MUNIN = _both(_after(cold=0.45, warm=0.1))

#: Network -> target without evidence and target with evidence e1.
POSTERIORS: dict[str, Targets] = {
    "asia": _SMALL,
    "cancer": _SMALL,
    "earthquake": _SMALL,
    "survey": _SMALL,
    "sachs": _SMALL,
    "child": _SMALL,
    "alarm": _SMALL,
    "insurance": _MEDIUM,
    "hailfinder": _MEDIUM,
    "hepar2": _MEDIUM,
    "win95pts": _MEDIUM,
    "pathfinder": _both(_after(cold=0.4, warm=0.05)),
    "water": _both(_after(cold=0.25, warm=0.05)),
    "mildew": _both(_after(cold=0.25, warm=0.1)),
    "andes": _both(_after(cold=1.0, warm=0.35)),
    "pigs": _both(_after(cold=0.6, warm=0.15)),
    "barley": (_after(cold=1.0, warm=0.8), _after(cold=1.0, warm=0.3)),
    "diabetes": _both(_after(cold=0.6, warm=0.4)),
    "munin1": _both(_after(cold=0.7, warm=0.2)),
    "munin2": _MUNIN,
    "munin3": _MUNIN,
    "munin": _MUNIN,
    "munin4": _MUNIN,
    "link": _both(_after(cold=0.7, warm=0.1)),
}
