"""How sequences are read, what is refused and with which words, and files."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pgm.hidden_markov_model import HiddenMarkovModel

NAN = math.nan


@pytest.fixture
def dice(draw_model):
    """Two dice of six sides."""
    return draw_model(np.random.default_rng(0), 2, n_symbols=6)


@pytest.fixture
def words(draw_model):
    """Three words."""
    return draw_model(np.random.default_rng(1), 2, n_symbols=["it", "rains", "pours"])


@pytest.fixture
def vectors(draw_model):
    """Vectors of two numbers."""
    return draw_model(np.random.default_rng(2), 2, "gaussian", n_features=2)


@pytest.mark.parametrize(
    "form",
    [
        [[0, 5, -1], [2]],
        [np.array([0, 5, -1]), torch.tensor([2])],
        ((0, 5, -1), (2,)),
        [np.array([0, 5, -1], dtype=np.int8), [2]],
        [pd.Series([0, 5, -1]), pd.Series([2])],
    ],
)
def test_lists_of_sequences_of_codes(dice, form):
    expected = torch.cat([dice.log_prob([0, 5, -1]), dice.log_prob([2])])
    assert dice.log_prob(form).equal(expected)


def test_one_sequence_of_codes(dice):
    for form in ([0, 1, 2], np.array([0, 1, 2]), torch.tensor([[0, 1, 2]]), range(3)):
        assert dice.log_prob(form).equal(dice.log_prob([[0, 1, 2]]))


def test_hmmlearn_columns(dice):
    column = np.array([[0], [1], [2], [3]])
    expected = dice.log_prob([[0, 1, 2], [3]])
    assert dice.log_prob(column, lengths=[3, 1]).equal(expected)
    assert dice.log_prob(column[:, 0], lengths=torch.tensor([3, 1])).equal(expected)
    assert dice.log_prob(column).equal(dice.log_prob([[0], [1], [2], [3]]))


def test_words(words):
    assert words.symbols == ("it", "rains", "pours")
    expected = words.log_prob([[0, 1], [0, -1, 2]])
    assert words.log_prob([["it", "rains"], ["it", None, "pours"]]).equal(expected)
    assert words.log_prob(["it", "rains"]).equal(expected[:1])
    assert words.log_prob(np.array(["it", "rains"])).equal(expected[:1])


def test_characters_are_symbols():
    model = HiddenMarkovModel(2).fit("abracadabra", generator=0, max_iterations=5, tolerance=0.0)
    assert model.symbols == ("a", "b", "c", "d", "r")
    assert model.log_prob("cab").equal(model.log_prob([[2, 0, 1]]))
    assert model.decode([[2, 0, 1]]) == [["c", "a", "b"]]
    assert model.emission_probs.shape == (2, 5)


def test_symbols_are_learned_again_unless_given(words):
    model = HiddenMarkovModel(2).fit([[0, 1, 0]], generator=0, max_iterations=2, tolerance=0.0)
    assert model.emission_probs.shape == (2, 2)
    model.fit([[0, 1, 3]], generator=0, max_iterations=2, tolerance=0.0)
    assert model.emission_probs.shape == (2, 4)
    words.fit([["it", "rains", "it"]], generator=0, max_iterations=2, tolerance=0.0)
    assert words.emission_probs.shape == (2, 3)


@pytest.mark.parametrize(
    "form",
    [
        np.array([[0.0, 1.0], [NAN, 2.0]]),
        torch.tensor([[0.0, 1.0], [NAN, 2.0]]),
        torch.tensor([[[0.0, 1.0], [NAN, 2.0]]]),
        [[[0.0, 1.0], [None, 2.0]]],
        [np.array([[0.0, 1.0], [NAN, 2.0]])],
        pd.DataFrame({"a": [0.0, NAN], "b": [1, 2]}),
        [pd.DataFrame({"a": [0.0, NAN], "b": [1, 2]})],
    ],
)
def test_forms_of_one_sequence_of_vectors(vectors, form):
    expected = vectors.log_prob(np.array([[0.0, 1.0], [NAN, 2.0]]))
    assert vectors.log_prob(form).equal(expected)


def test_single_numbers():
    model = HiddenMarkovModel(2, "gaussian", n_features=1)
    expected = model.log_prob(torch.tensor([[0.5], [1.0]]))
    assert model.log_prob([0.5, 1.0]).equal(expected)
    assert model.log_prob([[0.5, 1.0]]).equal(expected)
    assert model.log_prob(np.array([0.5, 1.0])).equal(expected)
    assert model.log_prob(np.array([0.5, 1.0]), lengths=[1, 1]).shape == (2,)


def test_nothing_at_all(dice, vectors):
    for model in (dice, vectors):
        assert model.log_prob([]).shape == (0,)
        assert model.posterior([]) == [] and model.viterbi([])[0] == []
        assert model.log_prob([[], []]).tolist() == [0.0, 0.0]
        assert [tuple(rows.shape) for rows in model.posterior([[], []])] == [(0, 2), (0, 2)]
        assert model.forecast([], 2).shape == (0, 2, 2)
        with pytest.raises(ValueError, match="at least one sequence"):
            model.score([])


@pytest.mark.parametrize(
    ("sequences", "lengths", "error", "words"),
    [
        ([[0, 1], [2, 6]], None, ValueError, "'6' at sequence 1, position 1.*6 symbols"),
        ([[0, 1], [-2]], None, ValueError, "-2 at sequence 1, position 0.*missing symbols are -1"),
        ([[0, 1.5]], None, TypeError, "strings only or whole numbers only"),
        ([[0], ["a"]], None, TypeError, "found both"),
        (["a", "b"], None, ValueError, "'a' at sequence 0, position 0"),
        (np.zeros((2, 2, 2), int), None, ValueError, r"shape \(T,\) or \(n, T\)"),
        (np.zeros(4, int), [3], ValueError, "lengths must sum to the 4 observations"),
        (np.zeros((2, 3), int), [3, 4], ValueError, "2 numbers up to 3"),
        (np.zeros((2, 3), int), [3], ValueError, "2 numbers up to 3"),
        ([[0], [1]], [1, 1], ValueError, "lengths must be None for a list"),
        (np.zeros(4, int), [5, -1], ValueError, "must not be negative"),
        (np.zeros(4, int), [2.0, 2.0], TypeError, "whole numbers"),
        (5, None, TypeError, "found int"),
        ({"a": [0]}, None, TypeError, "found dict"),
    ],
)
def test_bad_codes(dice, sequences, lengths, error, words):
    for method in (dice.log_prob, dice.posterior, dice.viterbi, dice.fit):
        with pytest.raises(error, match=words):
            method(sequences, lengths=lengths)


@pytest.mark.parametrize("dtype", [None, "object", "string", "str", "category"])
def test_what_pandas_calls_missing_among_strings_is_missing(words, dtype):
    column = pd.Series(["it", None, "pours"], dtype=dtype)
    expected = words.log_prob([["it", None, "pours"]])
    assert words.log_prob(column).equal(expected)
    assert words.log_prob([column, column]).equal(expected.expand(2))


def test_what_pandas_calls_missing_among_numbers_is_missing(vectors):
    table = pd.DataFrame({"a": [1, 2], "b": pd.array([3, None], dtype="Int64")})
    assert vectors.log_prob(table).equal(vectors.log_prob(np.array([[1.0, 3.0], [2.0, NAN]])))


@pytest.mark.parametrize(
    ("sequences", "error", "words"),
    [
        (np.zeros((4, 3)), ValueError, "rows of 2 numbers, found rows of 3"),
        (np.array([["a", 1]], dtype=object), TypeError, "real numbers: could not convert"),
        ([np.zeros((4, 2)), np.zeros((4, 3))], ValueError, "rows of 3 in sequence 1"),
        ([[0.0, 1.0], [2.0, 3.0]], ValueError, "rows of 1.*list of lists"),
        ([np.zeros((1, 2)), np.array([[0.0, 1.0], [0.0, -math.inf]])], ValueError,
         "-inf at sequence 1, position 1, feature 1"),
        (np.array([[1e200, 0.0]]), ValueError, "within 1e"),
        (np.array([["a", "b"]]), TypeError, "real numbers"),
        ([[[0.0, 1.0], [2.0]]], ValueError, "equal width"),
        (np.zeros((1, 1, 1, 2)), ValueError, r"\(T, D\) or \(n, T, D\)"),
        (np.zeros((4, 2)) * 1j, TypeError, "real numbers"),
    ],
)  # fmt: skip
def test_bad_vectors(vectors, sequences, error, words):
    for method in (vectors.log_prob, vectors.posterior, vectors.viterbi, vectors.fit):
        with pytest.raises(error, match=words):
            method(sequences)


def test_bad_counts():
    model = HiddenMarkovModel(2, "poisson", n_features=2)
    with pytest.raises(ValueError, match="-1 at sequence 1, position 0, feature 1"):
        model.log_prob([[[0, 1]], [[0, -1]]])
    with pytest.raises(ValueError, match=r"0.5 at sequence 0, position 0, feature 0"):
        model.fit([[[0.5, 1]]])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_states": 0}, ValueError, "n_states must be at least 1"),
        ({"n_states": 2.0}, TypeError, "n_states must be a whole number"),
        ({"n_states": 2, "emission": "normal"}, ValueError, "categorical, gaussian, poisson"),
        ({"n_states": 2, "n_features": 3}, ValueError, "n_features is for"),
        ({"n_states": 2, "emission": "gaussian", "n_symbols": 3}, ValueError, "n_symbols is for"),
        ({"n_states": 2, "emission": "gaussian", "covariance_type": "x"}, ValueError, "spherical"),
        ({"n_states": 2, "n_symbols": ["a", "a"]}, ValueError, "twice"),
        ({"n_states": 2, "n_symbols": 0}, ValueError, "at least 1"),
        ({"n_states": 2, "emission": "poisson", "n_features": 0}, ValueError, "at least 1"),
    ],
)
def test_bad_models(arguments, error, words):
    with pytest.raises(error, match=words):
        HiddenMarkovModel(**arguments)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"init": "spectral"}, ValueError, "'kmeans', 'random', 'current'"),
        ({"keep": ["transition"]}, ValueError, "start, transitions, emissions"),
        ({"keep": "start"}, TypeError, r"pass \['start'\]"),
        ({"n_init": 0}, ValueError, "n_init must be at least 1"),
        ({"max_iterations": 0}, ValueError, "max_iterations"),
        ({"tolerance": -1.0}, ValueError, "tolerance"),
        ({"covariance_floor": -1.0}, ValueError, "covariance_floor"),
        ({"start_prior": -1.0}, ValueError, "start_prior must not be negative"),
        ({"transition_prior": [1.0, 2.0]}, ValueError, r"shape \(2, 2\)"),
        ({"emission_prior": math.inf}, ValueError, "emission_prior must be finite"),
        ({"sample_weight": [1.0]}, ValueError, r"shape \(2,\)"),
        ({"sample_weight": [0.0, 0.0]}, ValueError, "positive weight"),
        ({"generator": "a"}, TypeError, "generator"),
        ({"progress": 1}, TypeError, "progress"),
    ],
)
def test_bad_settings_of_fit(dice, settings, error, words):
    before = [p.clone() for p in dice.parameters()]
    with pytest.raises(error, match=words):
        dice.fit([[0, 1, 2], [3, 4, 5]], **settings)
    assert all(a.equal(b) for a, b in zip(before, dice.parameters(), strict=True))
    assert dice.history == []


def test_nothing_to_learn_from(dice, vectors):
    for nothing in ([], [[], []]):
        with pytest.raises(ValueError, match="must hold an observation"):
            dice.fit(nothing)
        with pytest.raises(ValueError, match="must hold an observation"):
            vectors.fit(nothing)
    with pytest.raises(ValueError, match="at least one symbol"):
        dice.fit([[-1, -1]])
    with pytest.raises(ValueError, match="no observed number of feature 1"):
        vectors.fit([[[1.0, NAN], [2.0, NAN]]])
    with pytest.raises(ValueError, match="constant features"):
        vectors.fit(np.ones((5, 2)))
    with pytest.raises(ValueError, match="no observed count of feature 0"):
        HiddenMarkovModel(2, "poisson").fit([[[NAN, 1.0]]])
    with pytest.raises(ValueError, match="emission_prior is for categorical"):
        vectors.fit(np.zeros((4, 2)), emission_prior=1.0)


def test_impossible_sequences_in_fit_are_named(dice):
    with torch.no_grad():
        dice.emission_probs.copy_(torch.eye(2, 6))
    with pytest.raises(ValueError, match=r"sequence 2 has probability zero.*from position 1 on"):
        dice.fit([[0, 1], [0, 3], [1, 2, 0]], init="current", sample_weight=[1, 0, 1])
    assert dice.emission_probs[0, 0] == 1


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("start", [0.5, 0.6], "start must sum to one"),
        ("start", [-0.5, 1.5], "start must hold probabilities"),
        ("transitions", [[1.0, 0.0], [0.2, 0.2]], "transitions must sum to one"),
        ("means", [[NAN, 0.0], [0.0, 0.0]], "means must be finite"),
        ("covariances", [[1.0, 0.0], [1.0, 1.0]], "covariances must be positive"),
    ],
)
def test_bad_parameters_are_named(vectors, name, values, words):
    with torch.no_grad():
        getattr(vectors, name).copy_(torch.tensor(values))
    with pytest.raises(ValueError, match=words):
        vectors.log_prob([[[0.0, 0.0]]])


def test_bad_matrices_are_named():
    model = HiddenMarkovModel(1, "gaussian", n_features=2, covariance_type="full")
    for matrix, words in (
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite, found the eigenvalue -1"),
        ([[1.0, 0.5], [0.0, 1.0]], "symmetric"),
        ([[NAN, 0.0], [0.0, 1.0]], "finite"),
    ):
        with torch.no_grad():
            model.covariances.copy_(torch.tensor([matrix]))
        with pytest.raises(ValueError, match=words):
            model.log_prob([[[0.0, 0.0]]])


def test_an_unfitted_model_says_so():
    for model in (HiddenMarkovModel(2), HiddenMarkovModel(2, "gaussian")):
        with pytest.raises(ValueError, match="fit it, or give"):
            model.log_prob([[0]])
        with pytest.raises(ValueError, match="fit it, or give"):
            model.sample(1, 2)
    with pytest.raises(ValueError, match="not known yet"):
        _ = HiddenMarkovModel(2).symbols
    with pytest.raises(ValueError, match="no symbols"):
        _ = HiddenMarkovModel(2, "poisson").symbols


@pytest.mark.parametrize(
    ("emission", "shape", "data"),
    [
        ("categorical", {}, [["a", "b", None], ["b"]]),
        ("categorical", {"n_symbols": 4}, [[0, 1, 3], [2]]),
        ("gaussian", {"covariance_type": "full"}, np.random.default_rng(0).normal(size=(9, 2))),
        ("gaussian", {"covariance_type": "tied"}, np.random.default_rng(0).normal(size=(9, 2))),
        ("gaussian", {"covariance_type": "spherical"}, [[0.0, 1.0, 5.0]]),
        ("poisson", {}, [[0, 1, 5], [4]]),
    ],
)
def test_files(tmp_path, emission, shape, data):
    blank = HiddenMarkovModel(2, emission, **shape)
    blank.save(tmp_path / "blank.safetensors")
    model = HiddenMarkovModel.load(tmp_path / "blank.safetensors")
    model.fit(data, generator=0, max_iterations=3, tolerance=0.0)
    model.save(tmp_path / "model.safetensors")
    copy = HiddenMarkovModel.load(tmp_path / "model.safetensors")
    assert copy.log_prob(data).equal(model.log_prob(data))
    assert copy.config() == model.config()
    assert repr(copy) == repr(model)
    # A model that learned its symbols does so again.
    assert (
        copy.fit(data, generator=0, max_iterations=3, tolerance=0.0)
        .log_prob(data)
        .equal(copy.log_prob(data))
    )


def test_fit_does_not_touch_global_random_state():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    HiddenMarkovModel(2).fit([[0, 1, 0]], max_iterations=2, tolerance=0.0)
    assert torch.get_rng_state().equal(state)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"10,000,000 states would take 72\d\.\d TiB"):
        HiddenMarkovModel(10_000_000)
    model = HiddenMarkovModel(2, n_symbols=3)
    with pytest.raises(ValueError, match="1,000,000,000 steps would take"):
        model.sample(1_000_000, 1_000_000_000)


def test_kept_emissions_keep_their_symbols():
    model = HiddenMarkovModel(2).fit("abab", generator=0, max_iterations=2, tolerance=0.0)
    with pytest.raises(ValueError, match="'c' at sequence 0, position 1"):
        model.fit("ac", init="current")
    model.fit("bbbb", keep=["emissions"], max_iterations=1)
    assert model.symbols == ("a", "b")
    model.fit("acd", generator=0, keep=["transitions"], max_iterations=1)
    assert model.symbols == ("a", "c", "d")


def test_single_precision(dice):
    expected = dice.log_prob([0, 1, 2])
    dice.float()
    assert dice.log_prob([0, 1, 2]).dtype == torch.float64
    assert torch.allclose(dice.log_prob([0, 1, 2]), expected, rtol=1e-6)
    dice.fit([[0, 1, 2, 3, 4, 5]], init="current", max_iterations=2, tolerance=0.0)
    assert dice.emission_probs.dtype == torch.float32


def test_it_runs_on_the_device(vectors, device):
    x = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = vectors.log_prob(x), vectors.posterior(x)
    vectors.to(device)
    assert torch.allclose(vectors.log_prob(x.to(device)).cpu(), expected[0])
    assert torch.allclose(vectors.posterior(x)[1].cpu(), expected[1][1])
    vectors.fit(x, max_iterations=3, tolerance=0.0, generator=0)
    assert vectors.means.device.type == device.type
    assert vectors.sample(2, 3, generator=0).states.device.type == device.type
