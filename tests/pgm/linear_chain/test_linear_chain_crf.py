"""The law of a linear-chain CRF: references, enumeration, gradients, masks, constraints."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgm.linear_chain_crf import LinearChainCRF


def number(x):
    """A number of the reference files, in which None stands for -inf."""
    return -math.inf if x is None else x


def tensor(rows):
    """A (nested) list of the reference files."""
    if isinstance(rows, list):
        return torch.stack([tensor(row) for row in rows])
    return torch.tensor(number(rows), dtype=torch.float64)


def random_crf(n_tags, seed, **constraints):
    """A double-precision model with random parameters."""
    crf = LinearChainCRF(n_tags, **constraints).double()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_(generator=source)
    return crf


def enumerate_row(crf, emissions):
    """All paths of one row (T, K), and their log weights."""
    paths = list(itertools.product(range(len(crf.start)), repeat=len(emissions)))
    weights = []
    for path in paths:
        ok = crf.allowed_start[path[0]] and crf.allowed_end[path[-1]]
        ok = ok and all(crf.allowed[i, j] for i, j in itertools.pairwise(path))
        weight = crf.start[path[0]] + crf.end[path[-1]]
        weight = weight + sum(emissions[t, k] for t, k in enumerate(path))
        weight = weight + sum(crf.transitions[i, j] for i, j in itertools.pairwise(path))
        weights.append(weight.item() if ok else -math.inf)
    return paths, torch.tensor(weights, dtype=torch.float64)


def close(found, expected, **bounds):
    expected = torch.as_tensor(expected, dtype=found.dtype)
    bounds = bounds or {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(found.detach(), expected, **bounds)


def test_references(references):
    assert references["crf"]
    for case in references["crf"]:
        crf = random_crf(case["K"], 0)
        transitions = tensor(case["transitions"])
        allowed = transitions > -math.inf
        crf.allowed.copy_(allowed)
        with torch.no_grad():
            crf.transitions.copy_(transitions.masked_fill(~allowed, 0.0))
            crf.start.copy_(tensor(case["start"]))
            crf.end.copy_(tensor(case["end"]))
        emissions = tensor(case["emissions"])[None].requires_grad_()
        bounds = {"rtol": 1e-9, "atol": 1e-9}
        close(crf.log_partition(emissions)[0], case["logZ"], **bounds)
        unary, pairs = crf.marginals(emissions, pairs=True)
        close(unary[0], tensor(case["unary_marginals"]), **bounds)
        close(pairs[0], tensor(case["pairwise_marginals"]), **bounds)
        tags, score = crf.decode(emissions)
        assert tags[0].tolist() == case["viterbi_path"]
        close(score[0], case["viterbi_score"], **bounds)
        tags, scores = crf.decode(emissions, n_best=5)
        assert tags[0].tolist() == [path for _, path in case["top5"]]
        close(scores[0], [score for score, _ in case["top5"]], **bounds)
        close(crf.entropy(emissions)[0], case["entropy"], **bounds)
        log_prob = crf(emissions, torch.tensor([case["gold"]]))
        close(log_prob[0], case["loglik_gold"], **bounds)
        log_prob.sum().backward()
        close(emissions.grad[0], tensor(case["grad_emissions"]), **bounds)
        close(crf.transitions.grad, tensor(case["grad_transitions"]), **bounds)
        close(crf.start.grad, tensor(case["grad_start"]), **bounds)
        close(crf.end.grad, tensor(case["grad_end"]), **bounds)


def test_facts_t21_chain():
    crf = LinearChainCRF(2).double()
    with torch.no_grad():
        crf.transitions.copy_(torch.tensor([[0.7, 0.3], [0.4, 0.6]], dtype=torch.float64).log())
    unary = torch.tensor([[0.5, 0.5], [0.9, 0.2], [0.2, 0.9], [0.9, 0.2]], dtype=torch.float64)
    emissions = unary.log()[None]
    total = crf.log_partition(emissions)
    close(total, [-1.9642217884], rtol=0, atol=1e-10)
    expected = [0.424767, 0.201732, 0.623677, 0.188643]
    close(crf.marginals(emissions)[0, :, 1], expected, rtol=0, atol=1e-6)
    tags, score = crf.decode(emissions)
    assert tags.tolist() == [[0, 0, 1, 0]]
    close((score - total).exp(), [0.2182868142], rtol=0, atol=1e-10)


BATCHES = st.tuples(
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 0.7]),
)


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_everything_agrees_with_enumeration(batch):
    lengths, n_tags, seed, zeros = batch
    source = torch.Generator().manual_seed(seed)

    def some(*shape):
        return torch.rand(shape, generator=source) >= zeros

    crf = random_crf(
        n_tags,
        seed,
        allowed=some(n_tags, n_tags),
        allowed_start=some(n_tags),
        allowed_end=some(n_tags),
    )
    n_steps = max(lengths) + 1
    emissions = torch.randn(len(lengths), n_steps, n_tags, generator=source).double()
    emissions = emissions.masked_fill(~some(*emissions.shape), -math.inf)
    mask = torch.arange(n_steps) < torch.tensor(lengths)[:, None]
    emissions[~mask] = math.nan
    total, unary = crf.log_partition(emissions, mask), crf.marginals(emissions, mask)
    tags, scores = crf.decode(emissions, mask)
    entropy = crf.entropy(emissions, mask)
    for b, length in enumerate(lengths):
        assert (tags[b, length:] == -1).all() and (unary[b, length:] == 0).all()
        if length == 0:
            assert total[b] == scores[b] == entropy[b] == 0
            continue
        paths, weights = enumerate_row(crf, emissions[b, :length])
        close(total[b], weights.logsumexp(0))
        close(scores[b], weights.max())
        if total[b] == -math.inf:
            assert (tags[b] == -1).all() and (unary[b] == 0).all() and entropy[b] == 0
            continue
        p = (weights - weights.logsumexp(0)).exp()
        assert paths[weights.argmax()] == tuple(tags[b, :length].tolist())
        at = torch.nn.functional.one_hot(torch.tensor(paths), n_tags).double()
        close(unary[b, :length], (p[:, None, None] * at).sum(0))
        close(entropy[b], torch.special.entr(p).sum())


def test_agrees_with_pytorch_crf():
    torchcrf = pytest.importorskip("torchcrf")
    crf, peer = random_crf(5, 1), torchcrf.CRF(5, batch_first=True).double()
    with torch.no_grad():
        peer.transitions.copy_(crf.transitions)
        peer.start_transitions.copy_(crf.start)
        peer.end_transitions.copy_(crf.end)
    source = torch.Generator().manual_seed(0)
    emissions = torch.randn(7, 9, 5, generator=source).double().requires_grad_()
    tags = torch.randint(5, (7, 9), generator=source)
    lengths = torch.tensor([9, 1, 4, 9, 2, 6, 8])
    mask = torch.arange(9) < lengths[:, None]
    ours = crf.log_prob(emissions, tags, mask)
    # Its mask takes part in a torch.where, which wants it to be boolean inside.
    theirs = peer(emissions, tags, mask=mask, reduction="none")
    close(ours, theirs.detach())
    gradients = [torch.autograd.grad(x.sum(), emissions)[0] for x in (ours, theirs)]
    close(*gradients)
    decoded = crf.decode(emissions, mask)[0]
    assert [row[row >= 0].tolist() for row in decoded] == peer.decode(emissions, mask)


def test_gradients_match_finite_differences():
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[0, 1] = False
    crf = random_crf(3, 2, allowed=allowed, allowed_start=[True, True, False])
    source = torch.Generator().manual_seed(0)
    emissions = torch.randn(3, 4, 3, generator=source).double().requires_grad_()
    tags = torch.tensor([[0, 2, 1, 1], [1, -1, -1, 0], [1, 0, 0, 0]])
    mask = torch.arange(4) < torch.tensor([4, 3, 0])[:, None]
    names = [name for name, _ in crf.named_parameters()]

    def of(method, *arguments):
        def run(x, *parameters):
            state = dict(zip(names, parameters, strict=True))
            call = (method, (x, *arguments))
            return torch.func.functional_call(_Method(crf), _prefixed(state), call)

        return run

    inputs = (emissions, *[p.detach().clone().requires_grad_() for p in crf.parameters()])
    assert torch.autograd.gradcheck(of("log_prob", tags, mask), inputs)
    assert torch.autograd.gradcheck(of("entropy", mask), inputs)
    assert torch.autograd.gradgradcheck(of("log_partition", mask), inputs)


class _Method(torch.nn.Module):
    """Call any method of a model, as `functional_call` calls forward only."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, name, arguments):
        return getattr(self.model, name)(*arguments)


def _prefixed(state):
    return {f"model.{name}": value for name, value in state.items()}


def test_forbidden_entries_and_padding_have_gradient_zero():
    crf = LinearChainCRF.for_tags(["O", "B", "I"])
    emissions = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    emissions[1, 3:] = math.nan
    emissions.requires_grad_()
    mask = torch.arange(5) < torch.tensor([5, 3])[:, None]
    tags = torch.tensor([[0, 1, 2, 0, 1], [1, 2, 2, -7, 99]])
    (-crf.log_prob(emissions, tags, mask).sum()).backward()
    assert crf.transitions.grad[0, 2] == 0 and crf.start.grad[2] == 0
    assert crf.transitions.grad.count_nonzero() == 8
    assert (emissions.grad[1, 3:] == 0).all() and not emissions.grad.isnan().any()


def test_impossible_rows_have_probability_zero_and_no_gradient():
    crf = random_crf(2, 0)
    emissions = torch.zeros(2, 3, 2, dtype=torch.float64)
    emissions[0, 1] = -math.inf
    emissions.requires_grad_()
    tags = torch.zeros(2, 3, dtype=torch.int64)
    log_prob = crf.log_prob(emissions, tags)
    assert log_prob[0] == -math.inf and log_prob[1] > -math.inf
    assert crf.log_partition(emissions)[0] == -math.inf
    log_prob[1:].sum().backward()
    assert not emissions.grad.isnan().any()
    emissions.grad = None
    log_prob = crf.log_prob(emissions, tags)
    log_prob.sum().backward()
    assert (emissions.grad[0] == 0).all() and not emissions.grad.isnan().any()


def test_missing_tags_are_summed_out():
    crf = random_crf(3, 4, allowed=[[True, False, True], [True, True, True], [True, True, False]])
    emissions = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(1)).double()
    paths, weights = enumerate_row(crf, emissions[0])
    for tags in ([-1, 2, -1, 0], [-1] * 4, [1, 1, -1, -1], [-1, -1, -1, 2]):
        fits = [all(k in (-1, j) for k, j in zip(tags, path, strict=True)) for path in paths]
        expected = weights[torch.tensor(fits)].logsumexp(0) - weights.logsumexp(0)
        close(crf.log_prob(emissions, torch.tensor([tags]))[0], expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single_precision(dtype):
    crf = LinearChainCRF(3)
    emissions = (4 * torch.randn(2, 2000, 3, generator=torch.Generator().manual_seed(0))).to(dtype)
    emissions.requires_grad_()
    tags = torch.zeros(2, 2000, dtype=torch.int64)
    found = crf.log_prob(emissions, tags)
    assert found.dtype == torch.float32
    exact = crf.double().log_prob(emissions.double(), tags)
    close(found, exact, rtol=1e-6, atol=0)
    found.sum().backward()
    assert emissions.grad.dtype == dtype and not emissions.grad.isnan().any()


def test_draws_have_the_probabilities_of_the_law():
    # Hoeffding: each of 8 frequencies off by 0.025 in 40,000 draws less than once in 1e20.
    crf = random_crf(2, 1)
    emissions = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1)).double()
    mask = torch.tensor([[True, True, True], [True, True, False]])
    draws = crf.sample(40_000, emissions, mask, generator=0)
    assert draws.shape == (40_000, 2, 3) and draws.dtype == torch.int64
    assert (draws[:, 1, 2] == -1).all()
    assert torch.equal(draws, crf.sample(40_000, emissions, mask, generator=0))
    paths = torch.tensor(list(itertools.product((0, 1), repeat=3)))
    for path in paths:
        seen = (draws[:, 0] == path).all(1).double().mean()
        p = crf.log_prob(emissions[:1], path[None]).exp()
        close(seen, p[0].detach(), rtol=0, atol=0.025)
