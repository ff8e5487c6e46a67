"""What a linear-chain CRF is given: masks, arrays, schemes of tags, files, and every refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pgm.linear_chain.tag_schemes import constrain_tags
from pgm.linear_chain_crf import LinearChainCRF

EMISSIONS = torch.zeros(2, 3, 2)
TAGS = torch.zeros(2, 3, dtype=torch.int64)
HOLE = torch.tensor([[True, True, True], [True, False, True]])
LEFT = torch.tensor([[False, True, True], [True, True, True]])


def with_entry(value, at=(1, 2, 0)):
    emissions = EMISSIONS.clone()
    emissions[at] = value
    return emissions


def with_tag(value, at=(1, 2)):
    tags = TAGS.clone()
    tags[at] = value
    return tags


@pytest.mark.parametrize(
    ("emissions", "mask", "kind", "message"),
    [
        (EMISSIONS.long(), None, TypeError, "emissions must be floating-point numbers"),
        (torch.zeros(3, 2), None, ValueError, r"must be \(batch, tokens, 2 tags\), found .*3, 2"),
        (torch.zeros(2, 3, 4), None, ValueError, r"2 tags\), found shape \(2, 3, 4\)"),
        (with_entry(math.nan), None, ValueError, "found nan in sequence 1, position 2, tag 0"),
        (with_entry(math.inf), None, ValueError, "found inf in sequence 1, position 2, tag 0"),
        (EMISSIONS, HOLE, ValueError, "mask must be True .* found row 1 with True after False"),
        (EMISSIONS, LEFT, ValueError, "found row 0 with True after False"),
        (EMISSIONS, HOLE[:, :2], ValueError, r"mask must be \(batch, tokens\) = \(2, 3\)"),
        (EMISSIONS, HOLE.float(), TypeError, "mask must be boolean"),
        (
            torch.zeros(2, 3, 2, device="meta"),
            None,
            ValueError,
            "emissions are on meta, the model",
        ),
    ],
)
def test_emissions_and_masks_are_refused(emissions, mask, kind, message):
    crf = LinearChainCRF(2)
    calls = [
        lambda: crf.log_partition(emissions, mask),
        lambda: crf.log_prob(emissions, TAGS, mask),
        lambda: crf.marginals(emissions, mask),
        lambda: crf.decode(emissions, mask),
        lambda: crf.sample(1, emissions, mask),
        lambda: crf.entropy(emissions, mask),
    ]
    for call in calls:
        with pytest.raises(kind, match=message):
            call()


@pytest.mark.parametrize(
    ("tags", "kind", "message"),
    [
        (TAGS.float(), TypeError, "tags must be whole numbers, found torch.float32"),
        (TAGS[:, :2], ValueError, r"tags must be \(batch, tokens\) = \(2, 3\)"),
        (with_tag(2), ValueError, r"tags must be in 0..1 .* found 2 in sequence 1, position 2"),
        (with_tag(-2), ValueError, r"found -2 in sequence 1, position 2"),
        ([["O", "O", "O"]] * 2, TypeError, "tags must hold real numbers, found list of dtype <U1"),
        ([[0, 0, 0], [0]], ValueError, "tags must be a rectangular array"),
    ],
)
def test_tags_are_refused(tags, kind, message):
    with pytest.raises(kind, match=message):
        LinearChainCRF(2).log_prob(EMISSIONS, tags)


def test_paths_that_are_not_allowed_are_named():
    crf = LinearChainCRF.for_tags(["O", "B-X", "I-X", "E-X", "S-X"], "IOBES")
    emissions = torch.zeros(2, 3, 5)

    def refused(rows, message):
        with pytest.raises(ValueError, match=message):
            crf.log_prob(emissions, torch.tensor(rows))

    good = [1, 2, 3]
    refused([good, [0, 2, 3]], "transition from tag 0 to tag 2 .* sequence 1 at position 1")
    refused([[0, 0, 1], good], "must not end with tag 1, found in sequence 0 at position 2")
    refused([good, [3, 0, 0]], "must not start with tag 3, found in sequence 1 at position 0")
    refused([[-1, 4, 3], good], "transition from tag 4 to tag 3 .* sequence 0 at position 2")
    assert crf.log_prob(emissions, torch.tensor([good, [1, -1, 3]])).isfinite().all()


def test_missing_tags_where_nothing_fits_have_probability_zero():
    # No single step is at fault here.
    crf = LinearChainCRF(2, allowed=[[True, False], [False, True]])
    tags = torch.tensor([[0, -1, 1], [0, -1, 0]])
    log_prob = crf.log_prob(EMISSIONS, tags)
    assert log_prob[0] == -math.inf
    torch.testing.assert_close(log_prob[1], torch.tensor(math.log(0.5)))
    log_prob[1].backward()
    assert not crf.start.grad.isnan().any()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"n_tags": 0}, ValueError, "n_tags must be at least 1, found 0"),
        ({"n_tags": 2.5}, TypeError, "n_tags must be a whole number"),
        ({"n_tags": 2, "allowed": torch.ones(2, 2)}, TypeError, "allowed must be boolean"),
        ({"n_tags": 2, "allowed": [[True]]}, ValueError, r"allowed must have shape \(2, 2\)"),
        ({"n_tags": 2, "allowed_end": [True]}, ValueError, r"allowed_end must have shape \(2,\)"),
    ],
)
def test_constructions_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        LinearChainCRF(**arguments)


def test_arrays_are_taken_and_computed_in_their_own_precision():
    crf = LinearChainCRF(2)
    emissions = np.random.default_rng(0).normal(size=(2, 3, 2))
    mask = np.array([[True, True, True], [True, False, False]])
    tags = np.zeros((2, 3), dtype=np.int32)
    expected = crf.log_prob(*map(torch.from_numpy, (emissions, tags, mask)))
    assert expected.dtype == torch.float64
    torch.testing.assert_close(crf.log_prob(emissions, tags, mask), expected, rtol=0, atol=0)


def test_arrays_that_torch_cannot_share_are_taken():
    crf = LinearChainCRF(2)
    emissions = np.random.default_rng(0).normal(size=(2, 3, 2))
    mask = np.array([[True, True, True], [True, False, False]])
    tags = np.array([[0, 1, 0], [1, 0, 0]])
    expected = crf.log_prob(emissions, tags, mask)
    assert crf.log_prob(emissions.astype(">f8"), tags.astype(">i4"), mask).equal(expected)
    for array in (emissions, tags, mask):
        array.setflags(write=False)
    assert crf.log_prob(emissions, tags, mask).equal(expected)
    turned = [array[::-1] for array in (emissions, tags, mask)]
    assert crf.log_prob(*turned).equal(expected.flip(0))
    allowed = np.array([[True, False], [True, True]])
    allowed.setflags(write=False)
    assert LinearChainCRF(2, allowed).allowed.tolist() == allowed.tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    half = LinearChainCRF(3).to(dtype)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in half.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws))
    single = LinearChainCRF(3)
    single.load_state_dict(half.state_dict())
    emissions = torch.randn(2, 4, 3, generator=draws).to(dtype)
    tags = torch.tensor([[0, 1, 2, 0], [2, -1, 1, 1]])
    found = half.log_prob(emissions, tags)
    assert found.dtype == torch.float32
    assert found.equal(single.log_prob(emissions.float(), tags))
    assert half.entropy(emissions).equal(single.entropy(emissions.float()))
    assert half.marginals(emissions).equal(single.marginals(emissions.float()))
    for n_best in (1, 3):
        ours, theirs = half.decode(emissions, None, n_best), single.decode(emissions, None, n_best)
        assert ours[0].equal(theirs[0]) and ours[1].equal(theirs[1])
    draws = [model.sample(3, emissions, generator=0) for model in (half, single)]
    assert draws[0].equal(draws[1])
    found.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == dtype for p in half.parameters())


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2)])
def test_batches_of_nothing(shape):
    crf = LinearChainCRF(2)
    emissions = torch.zeros(shape, requires_grad=True)
    n_rows, n_steps, _ = shape
    total = crf.log_partition(emissions)
    assert total.tolist() == [0.0] * n_rows
    total.sum().backward()
    tags, scores = crf.decode(emissions)
    assert tags.shape == (n_rows, n_steps) and scores.tolist() == [0.0] * n_rows
    assert crf.log_prob(emissions, torch.zeros(n_rows, n_steps).long()).tolist() == [0.0] * n_rows
    unary, pairs = crf.marginals(emissions, pairs=True)
    assert unary.shape == shape and pairs.shape == (n_rows, max(n_steps - 1, 0), 2, 2)
    assert crf.sample(4, emissions, generator=0).shape == (4, n_rows, n_steps)
    assert crf.entropy(emissions).tolist() == [0.0] * n_rows


def test_a_file_holds_parameters_and_constraints(tmp_path):
    crf = LinearChainCRF.for_tags(["O", "B-X", "I-X"])
    with torch.no_grad():
        crf.transitions.normal_(generator=torch.Generator().manual_seed(0))
    crf.save(tmp_path / "crf.safetensors")
    copy = LinearChainCRF.load(tmp_path / "crf.safetensors")
    assert torch.equal(copy.allowed, crf.allowed)
    assert torch.equal(copy.allowed_start, torch.tensor([True, True, False]))
    emissions = torch.ones(1, 4, 3)
    assert torch.equal(copy.log_partition(emissions), crf.log_partition(emissions))


def valid(tags, scheme):
    """Whether tags are well formed, read one by one as a grammar."""
    inside = None
    for tag in [*tags, None]:
        prefix, _, kind = (tag or "O").partition("-")
        if prefix in ("I", "E", "L") and inside != kind:
            return False
        unfinished = scheme != "BIO" and inside is not None
        if unfinished and prefix not in ("I", "E", "L"):
            return False
        inside = kind if prefix in ("B", "I") else None
    return True


@pytest.mark.parametrize(
    ("scheme", "prefixes"), [("BIO", "BI"), ("IOBES", "BIES"), ("BILOU", "BILU")]
)
def test_schemes_allow_exactly_what_is_well_formed(scheme, prefixes):
    names = ["O", *[f"{p}-{kind}" for kind in ("X", "Y") for p in prefixes]]
    allowed, start, end = constrain_tags(names, scheme)
    codes = torch.cartesian_prod(*[torch.arange(len(names))] * 3)
    found = start[codes[:, 0]] & end[codes[:, 2]]
    found &= allowed[codes[:, 0], codes[:, 1]] & allowed[codes[:, 1], codes[:, 2]]
    expected = [valid([names[k] for k in row], scheme) for row in codes.tolist()]
    assert found.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_unknown_tags_and_schemes_are_refused():
    with pytest.raises(ValueError, match="'E-X' is no tag of the scheme BIO"):
        constrain_tags(["O", "E-X"])
    with pytest.raises(ValueError, match="scheme must be one of BIO, IOBES, BILOU, found 'IOB'"):
        constrain_tags(["O"], "IOB")
