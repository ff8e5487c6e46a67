"""Small networks from the literature, with their published tables."""

from __future__ import annotations

from pgm.bayesian_network import BayesianNetwork

__all__ = ["asia", "medical_test", "sprinkler"]

_YES_NO = ("yes", "no")


def asia() -> BayesianNetwork:
    """The chest clinic: is it tuberculosis, lung cancer or bronchitis?

    "Shortness-of-breath (dyspnoea) may be due to tuberculosis, lung cancer or bronchitis, or none
    of them, or more than one of them. A recent visit to Asia increases the chances of
    tuberculosis, while smoking is known to be a risk factor for both lung cancer and bronchitis.
    The results of a single chest X-ray do not discriminate between lung cancer and tuberculosis,
    as neither does the presence or absence of dyspnoea."

    Eight variables with the states ``yes`` and ``no``; ``either`` (tuberculosis or lung cancer)
    is a logical or, so half of its table are hard zeros.

    Returns:
        The network, with the variables and parents in the usual order of the published files.

    Reference:
        Lauritzen & Spiegelhalter 1988, "Local computations with probabilities on graphical
        structures and their application to expert systems", J. R. Statist. Soc. B 50, 157-224.

    Example:
        >>> posterior = asia().marginals({"asia": "yes", "dysp": "yes"}, ["tub", "bronc"])
        >>> {name: round(p[0].item(), 4) for name, p in posterior.items()}
        {'tub': 0.0878, 'bronc': 0.8114}
    """
    edges = [
        ("asia", "tub"),
        ("smoke", "lung"),
        ("smoke", "bronc"),
        ("lung", "either"),
        ("tub", "either"),
        ("either", "xray"),
        ("bronc", "dysp"),
        ("either", "dysp"),
    ]
    names = ("asia", "tub", "smoke", "lung", "bronc", "either", "xray", "dysp")
    tables = {
        "asia": [0.01, 0.99],
        "tub": [[0.05, 0.95], [0.01, 0.99]],
        "smoke": [0.5, 0.5],
        "lung": [[0.10, 0.90], [0.01, 0.99]],
        "bronc": [[0.60, 0.40], [0.30, 0.70]],
        "either": [[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]],
        "xray": [[0.98, 0.02], [0.05, 0.95]],
        "dysp": [[[0.90, 0.10], [0.80, 0.20]], [[0.70, 0.30], [0.10, 0.90]]],
    }
    return BayesianNetwork(edges, dict.fromkeys(names, _YES_NO), tables)


def sprinkler() -> BayesianNetwork:
    """The wet grass: was it the sprinkler or the rain?

    Four variables (cloudy, sprinkler, rain, wet_grass) with the states ``yes`` and ``no``. Wet
    grass makes both causes likelier; learning that it rained then explains the sprinkler away.

    Returns:
        The network.

    Reference:
        Pearl 1988, "Probabilistic reasoning in intelligent systems" (the story); Murphy 2001, "An
        introduction to graphical models" (these tables and the two posteriors below).

    Example:
        >>> posterior = sprinkler().marginals({"wet_grass": "yes"}, ["sprinkler", "rain"])
        >>> {name: round(p[0].item(), 4) for name, p in posterior.items()}
        {'sprinkler': 0.4298, 'rain': 0.7079}
    """
    edges = [
        ("cloudy", "sprinkler"),
        ("cloudy", "rain"),
        ("sprinkler", "wet_grass"),
        ("rain", "wet_grass"),
    ]
    names = ("cloudy", "sprinkler", "rain", "wet_grass")
    tables = {
        "cloudy": [0.5, 0.5],
        "sprinkler": [[0.1, 0.9], [0.5, 0.5]],
        "rain": [[0.8, 0.2], [0.2, 0.8]],
        "wet_grass": [[[0.99, 0.01], [0.90, 0.10]], [[0.90, 0.10], [0.0, 1.0]]],
    }
    return BayesianNetwork(edges, dict.fromkeys(names, _YES_NO), tables)


def medical_test(
    prevalence: float = 0.01,
    sensitivity: float = 0.99,
    specificity: float = 0.99,
    n_tests: int = 1,
) -> BayesianNetwork:
    """A disease and tests for it that err independently of each other.

    .. math:: p(d \\mid +) = \\frac{s\\,p}{s\\,p + (1 - r)(1 - p)}

    with prevalence p, sensitivity s and specificity r. At 1 %, 99 % and 99 % a positive test
    leaves the disease as likely as not: the base-rate fallacy takes it for 99 %.

    Arguments:
        prevalence: P(disease = yes).
        sensitivity: P(positive | disease), the true positive rate.
        specificity: P(negative | no disease), one minus the false positive rate.
        n_tests: how many tests; the variables are ``test``, or ``test_1``, ``test_2``, ...

    Returns:
        The network: ``disease`` (yes, no) and every test (positive, negative).

    Raises:
        ValueError: for a rate outside [0, 1] or fewer tests than one.

    Reference:
        Kahneman & Tversky 1973, "On the psychology of prediction"; Eddy 1982, "Probabilistic
        reasoning in clinical medicine".

    Example:
        >>> twice = medical_test(n_tests=2)
        >>> first = twice.marginals({"test_1": "positive"})["disease"][0]
        >>> both = twice.marginals({"test_1": "positive", "test_2": "positive"})["disease"][0]
        >>> round(first.item(), 12), round(both.item(), 12)
        (0.5, 0.99)
    """
    rates = {"prevalence": prevalence, "sensitivity": sensitivity, "specificity": specificity}
    for argument, rate in rates.items():
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"{argument} must be a probability in [0, 1], found {rate!r}")
    if isinstance(n_tests, bool) or not isinstance(n_tests, int) or n_tests < 1:
        raise ValueError(f"n_tests must be a whole number >= 1, found {n_tests!r}")
    tests = ["test"] if n_tests == 1 else [f"test_{i}" for i in range(1, n_tests + 1)]
    table = [[sensitivity, 1.0 - sensitivity], [1.0 - specificity, specificity]]
    states = {"disease": _YES_NO, **dict.fromkeys(tests, ("positive", "negative"))}
    tables = {"disease": [prevalence, 1.0 - prevalence], **dict.fromkeys(tests, table)}
    return BayesianNetwork([("disease", test) for test in tests], states, tables)
