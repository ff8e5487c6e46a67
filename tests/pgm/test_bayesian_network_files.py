"""Bayesian networks saved in every format and loaded again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgm import BayesianNetwork


def odd() -> BayesianNetwork:
    names = ["Asy/Patch", "<5 & more", 'say "hi"', "plain", "it's; {odd}", "Größe 雨"]
    labels = [
        ("a b", "c,d"),
        ("<", ">", "&"),
        ("no", "yes"),
        ("0", "1"),
        ("(x)", "|"),
        ("12+", "5-12"),
    ]
    rng = np.random.default_rng(0)
    parents = {0: [], 1: [0], 2: [1, 0], 3: [], 4: [3, 2], 5: [4]}
    states = dict(zip(names, labels, strict=True))
    tables, edges = {}, []
    for i, above in parents.items():
        shape = [len(labels[p]) for p in above]
        tables[names[i]] = rng.dirichlet(np.ones(len(labels[i])), shape or None)
        edges += [(names[p], names[i]) for p in above]
    return BayesianNetwork(edges, states, tables)  # fmt: skip


SUFFIXES = [".bif", ".xmlbif", ".net", ".safetensors", ".bif.gz", ".xmlbif.gz", ".net.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_keep_everything(suffix, tmp_path):
    net = odd()
    path = tmp_path / f"network{suffix}"
    net.save(path)
    loaded = BayesianNetwork.load(str(path))
    assert loaded.variables == net.variables and loaded.states == net.states
    assert all(loaded.parents(name) == net.parents(name) for name in net.variables)
    assert loaded.values.equal(net.values), "bit for bit"
    for given_ in ({}, {"Asy/Patch": "c,d"}, {"plain": [0.3, 0.1]}):
        mine, theirs = odd().marginals(given_), BayesianNetwork.load(path).marginals(given_)
        assert all(mine[name].equal(theirs[name]) for name in net.variables)
        assert odd().log_evidence(given_).equal(BayesianNetwork.load(path).log_evidence(given_))


@pytest.mark.parametrize("suffix", [".uai", ".uai.gz"])
def test_uai_files_keep_the_numbers(suffix, tmp_path):
    net = odd()
    path = tmp_path / f"network{suffix}"
    net.save(path)
    loaded = BayesianNetwork.load(path)
    assert loaded.variables == tuple(map(str, range(6)))
    assert loaded.values.equal(net.values)
    fresh = odd().marginals({"plain": 1})
    for one, other in zip(loaded.marginals({"3": 1}).values(), fresh.values(), strict=True):
        assert one.equal(other)


def test_numbered_states_survive(tmp_path):
    net = BayesianNetwork([("a", "b")], {"a": 2, "b": 3})
    for suffix in (".safetensors", ".uai"):
        net.save(tmp_path / f"n{suffix}")
        loaded = BayesianNetwork.load(tmp_path / f"n{suffix}")
        assert [list(s) for s in loaded.states.values()] == [[0, 1], [0, 1, 2]]
        assert loaded.most_probable()[0][loaded.variables[0]] in (0, 1)
    net.save(tmp_path / "n.bif")
    assert BayesianNetwork.load(tmp_path / "n.bif").states["b"] == ("0", "1", "2")


@pytest.mark.parametrize("name", ["n.UAI", "n.Uai.GZ", "n.v1.uai"])
def test_uai_files_have_numbered_states_however_the_suffix_is_written(name, tmp_path):
    odd().save(tmp_path / name)
    loaded = BayesianNetwork.load(tmp_path / name)
    assert [list(s) for s in loaded.states.values()] == [
        list(range(c)) for c in (2, 3, 2, 2, 2, 2)
    ]


@pytest.mark.parametrize("name", ["n.uai.bif", "n.uai.net.gz"])
def test_only_the_last_suffix_says_whether_states_have_names(name, tmp_path):
    odd().save(tmp_path / name)
    assert BayesianNetwork.load(tmp_path / name).states == odd().states


def test_saving_sees_new_numbers_and_half_precision(tmp_path):
    net = BayesianNetwork([], {"a": 2}, {"a": [0.5, 0.5]})
    with torch.no_grad():
        net.table("a").copy_(torch.tensor([0.25, 0.75]))
    for suffix in SUFFIXES:
        net.save(tmp_path / f"a{suffix}")
        assert BayesianNetwork.load(tmp_path / f"a{suffix}").table("a").tolist() == [0.25, 0.75]
    single = BayesianNetwork([], {"a": 3}, {"a": [0.1, 0.2, 0.7]}).float()
    single.save(tmp_path / "single.safetensors")
    loaded = BayesianNetwork.load(tmp_path / "single.safetensors")
    assert loaded.values.dtype == torch.float32 and loaded.values.equal(single.values)


def test_bad_files_are_named(rain, tmp_path):
    net = rain()
    with pytest.raises(ValueError, match=r"\.json"):
        net.save(tmp_path / "net.json")
    with pytest.raises(ValueError, match=r"\.json"):
        (tmp_path / "net.json").write_text("{}")
        BayesianNetwork.load(tmp_path / "net.json")
    with pytest.raises(FileNotFoundError):
        BayesianNetwork.load(tmp_path / "absent.bif")
    for suffix in (".bif", ".xmlbif", ".net", ".uai", ".safetensors"):
        path = tmp_path / f"net{suffix}"
        net.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match="net"):
            BayesianNetwork.load(path)
    (tmp_path / "markov.uai").write_text("MARKOV 1 2 1 1 0 2 0.5 2.0")
    with pytest.raises(ValueError, match="Markov"):
        BayesianNetwork.load(tmp_path / "markov.uai")
    text = "network a {}\nvariable a { type discrete [ 2 ] { x, y }; }\n"
    (tmp_path / "sum.bif").write_text(text + "probability ( a ) { table 0.5, 0.6; }\n")
    with pytest.raises(ValueError, match=r"sum\.bif.*'a'"):
        BayesianNetwork.load(tmp_path / "sum.bif")


def test_bad_numbers_in_a_model_file_are_refused(rain, tmp_path):
    net = rain()
    with torch.no_grad():
        net.table("rain").copy_(torch.tensor([0.5, 0.75]))
    net.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="rain"):
        BayesianNetwork.load(tmp_path / "net.safetensors").marginals()
