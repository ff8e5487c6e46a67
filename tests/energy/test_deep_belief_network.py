"""The deep belief network: learning from data, files, samples by layer, a classifier, errors."""

from __future__ import annotations

import math

import pytest
import torch

from energy.deep_belief_network import DeepBeliefNetwork
from inference.exact.enumerate import enumerate_states


def rows_of(n: int = 60, size: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 2, (n, size), generator=generator).float()


def state_equal(one: DeepBeliefNetwork, other: DeepBeliefNetwork) -> bool:
    found, expected = one.state_dict(), other.state_dict()
    return all(torch.equal(found[name], x) for name, x in expected.items())


@pytest.mark.parametrize("start", ["transposed", "random"])
def test_learning_nears_the_entropy_of_the_data(bars, start):
    """The rows have four patterns of six pixels with noise of .05: about 2.6 nats."""
    flip = -0.05 * math.log(0.05) - 0.95 * math.log(0.95)
    floor = -2 * math.log(2) - 6 * flip
    network = DeepBeliefNetwork([6, 4, 3], generator=0)
    before = float(network.log_prob(bars).mean())
    network.fit(bars, start=start, epochs=250, lr=0.3, lr_above=0.2, generator=0, progress=False)
    after = float(network.log_prob(bars).mean())
    assert before < -4 < floor - 0.25 < after < floor + 0.1
    assert network.score(bars, generator=0) <= after + 0.02
    assert [epoch["phase"] for epoch in network.history] == ["layer 1"] * 250 + ["layer 2"] * 250


@pytest.mark.parametrize("method", ["pcd", "cd"])
def test_fine_tuning_learns_by_itself(bars, method):
    network = DeepBeliefNetwork([6, 4, 4], generator=0)
    before = float(network.log_prob(bars).mean())
    network.fine_tune(bars, method=method, epochs=300, lr=0.3, generator=0, progress=False)
    assert float(network.log_prob(bars).mean()) > before + 1
    assert network.score(bars, generator=0) > before + 1
    layer = network.layers[0]
    assert not torch.equal(layer.weights, layer.recognition_weights)
    assert [epoch["phase"] for epoch in network.history] == ["up-down"] * 300


def test_labels_are_learned(bars):
    labels = (bars[:, :3].sum(1) > 1.5).long() + 2 * (bars[:, 3:].sum(1) > 1.5).long()
    network = DeepBeliefNetwork([6, 4, 6], 4, generator=0)
    network.fit(bars, labels, epochs=200, lr=0.3, lr_above=0.2, generator=0, progress=False)
    assert float((network.predict(bars) == labels).double().mean()) > 0.95
    network.fine_tune(bars, labels, epochs=50, lr=0.05, generator=0, progress=False)
    assert float((network.predict(bars) == labels).double().mean()) > 0.95
    draws = network.sample(400, label=1, sweeps=100, generator=0)
    # Of the pixels of this label those of the first bar are on.
    assert float(draws[:, :3].mean()) > 0.8 > 0.2 > float(draws[:, 3:].mean())
    assert torch.equal(network.predict([[1, 1, 1, 0, 0, 0]]), torch.tensor([1]))


def test_learning_goes_on_from_a_folder(bars, tmp_path):
    def learned(folder):
        network = DeepBeliefNetwork([6, 4, 3, 4], generator=0)
        network.fit(bars, epochs=3, checkpoint=folder, generator=0, progress=False)
        return network.fine_tune(bars, epochs=2, checkpoint=folder, generator=1, progress=False)

    folder = tmp_path / "state"
    whole = learned(None)
    assert state_equal(learned(folder), whole)
    assert len(list(folder.iterdir())) == 4
    assert state_equal(learned(folder), whole)
    for name in ("layer_2", "layer_3", "up_down"):
        (folder / f"{name}.safetensors").unlink()
    again = learned(folder)
    assert state_equal(again, whole)
    assert again.history == whole.history
    network = DeepBeliefNetwork([6, 4, 3, 4], generator=0)
    for part, start, what in ((bars[:50], "transposed", "rows"), (bars, "random", "start")):
        with pytest.raises(ValueError, match=f"other {what}"):
            network.fit(part, start=start, epochs=3, checkpoint=folder, progress=False)
    (folder / "layer_1.safetensors").unlink()
    with pytest.raises(ValueError, match="other layers below"):
        network.fit(bars, epochs=3, checkpoint=folder, generator=1, progress=False)


def test_the_same_seed_learns_the_same(bars):
    first, second, third = (
        DeepBeliefNetwork([6, 4, 3], generator=0).fit(
            bars, epochs=2, generator=seed, progress=False
        )
        for seed in (0, 0, 1)
    )
    assert state_equal(first, second)
    assert not state_equal(first, third)


@pytest.mark.parametrize("classes", [0, 3])
def test_files(network, tmp_path, classes):
    made = network((5, 4, 3, 2), classes)
    made.save(tmp_path / "network.safetensors")
    copy = DeepBeliefNetwork.load(tmp_path / "network.safetensors")
    assert copy.config() == {"layer_sizes": [5, 4, 3, 2], "n_classes": classes}
    assert state_equal(copy, made)
    assert copy.top.weights.dtype == torch.float64
    rows = rows_of(size=5)
    assert torch.equal(copy.log_prob(rows), made.log_prob(rows))
    assert torch.equal(
        copy.sample(3, sweeps=5, generator=0), made.sample(3, sweeps=5, generator=0)
    )


def test_the_way_up_and_down(network):
    made = network((5, 4, 3, 2), 3)
    rows = rows_of(size=5)
    found = made.up(rows)
    assert [tuple(x.shape) for x in found] == [(60, 4), (60, 3), (60, 2)]
    assert torch.equal(made.transform(rows), found[-1])
    assert made.reconstruct(rows).shape == (60, 5)
    shown = made.layer_samples(7, label=[0, 1, 2, 0, 1, 2, 0], sweeps=5, generator=0)
    assert [tuple(x.shape) for x in shown] == [(7, 5)] * 3
    assert all(bool(((x > 0) & (x < 1)).all()) for x in [*shown, *found])
    # What units of each layer can show, by all of their states.
    h_1, h_2, h_3 = (enumerate_states([2] * size).double() for size in (4, 3, 2))
    means = made.layers[1].down(h_2)
    above = made.layers[1].down(made.memory().below(h_3))
    for part, possible in zip(shown, (h_1, means, above), strict=True):
        distance = torch.cdist(part, made.layers[0].down(possible)).amin(1)
        assert float(distance.max()) < 1e-12


def test_one_machine_alone_is_a_network(network):
    made = network((4, 3))
    rows = rows_of(size=4).double()
    torch.testing.assert_close(made.log_prob(rows), made.top.log_prob(rows))
    torch.testing.assert_close(made.log_prob_bound(rows, n_samples=1), made.top.log_prob(rows))
    torch.testing.assert_close(made.transform(rows), made.top.transform(rows))
    torch.testing.assert_close(made.reconstruct(rows), made.top.reconstruct(rows))
    # There are no directed layers to be taught, but the machine learns.
    made.fit(rows, epochs=2, generator=0, progress=False)
    made.fine_tune(rows, epochs=2, generator=0, progress=False)
    assert len(made.history) == 4


def test_the_classifier_is_the_way_up(network):
    made, rows = network((6, 5, 4, 3)), rows_of().double()
    before = torch.get_rng_state()
    found = made.to_classifier(7)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found(rows), torch.zeros(60, 7).double())
    torch.testing.assert_close(found[:-1](rows).detach(), made.transform(rows))
    assert all(parameter.requires_grad for parameter in found.parameters())
    with torch.no_grad():
        found[0].weight.zero_()
    assert bool((made.layers[0].recognition_weights != 0).all())


def test_a_classifier_of_digits_learns_faster_after_fit():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data, digits = load_digits(return_X_y=True)
    split = train_test_split(data >= 8, digits, test_size=297, random_state=0, stratify=digits)
    rows, others, labels, wanted = (torch.from_numpy(part) for part in split)
    rows, others = rows.float(), others.float()
    network = DeepBeliefNetwork([64, 64, 32], generator=0)
    shares = []
    for _ in range(2):
        classify = network.to_classifier(10)
        optimizer = torch.optim.Adam(classify.parameters(), lr=0.01)
        order = torch.Generator().manual_seed(0)
        for _ in range(8):
            for some in torch.randperm(len(rows), generator=order).split(50):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(classify(rows[some]), labels[some]).backward()
                optimizer.step()
        shares.append(float((classify(others).argmax(1) == wanted).double().mean()))
        network.fit(rows, epochs=60, generator=0, progress=False)
    assert shares[1] > 0.85
    assert shares[1] > shares[0] + 0.2


@pytest.mark.slow
def test_digits_by_default():
    """Bounds of other implementations are about -17.5 nats."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data, digits = load_digits(return_X_y=True)
    split = train_test_split(data >= 8, digits, test_size=297, random_state=0, stratify=digits)
    network = DeepBeliefNetwork([64, 64, 64], generator=0)
    network.fit(split[0], generator=0, progress=False)
    log_z = network.log_partition(betas=1000, chains=100, generator=0)
    assert log_z.standard_error < 0.1
    bound = network.log_prob_bound(split[1], log_partition=log_z, generator=0)
    assert float(bound.mean()) > -17.0


def test_what_networks_refuse(network):
    with pytest.raises(ValueError, match="two layers"):
        DeepBeliefNetwork([4])
    with pytest.raises(ValueError, match="layer_sizes must be at least 1"):
        DeepBeliefNetwork([4, 0])
    with pytest.raises(TypeError, match="layer_sizes must be a whole number"):
        DeepBeliefNetwork([4, 2.5])
    with pytest.raises(ValueError, match="n_classes"):
        DeepBeliefNetwork([4, 3], 1)
    made, rows = network((4, 3, 2)), rows_of(size=4)
    for call in (made.fit, made.fine_tune, made.log_prob, made.log_prob_bound, made.transform):
        with pytest.raises(ValueError, match="4 units"):
            call(rows_of(size=5))
        with pytest.raises(ValueError, match="found 2"):
            call(2 * torch.ones(3, 4))
        with pytest.raises(ValueError, match="NaN"):
            call(rows * math.nan)
    for call in (made.fit, made.fine_tune, made.log_prob):
        with pytest.raises(ValueError, match="rows"):
            call(rows[0])
    with pytest.raises(ValueError, match="none"):
        made.fit(rows[:0])
    with pytest.raises(ValueError, match="start"):
        made.fit(rows, start="turned")
    with pytest.raises(ValueError, match="method"):
        made.fit(rows, method="sgd")
    with pytest.raises(ValueError, match="method"):
        made.fine_tune(rows, method="pt")
    with pytest.raises(ValueError, match="lr"):
        made.fine_tune(rows, lr=-1.0)
    with pytest.raises(ValueError, match="n_samples"):
        made.log_prob_bound(rows, n_samples=0)
    with pytest.raises(ValueError, match="method"):
        made.log_partition("bethe")
    with pytest.raises(ValueError, match="n must"):
        made.sample(0)
    with pytest.raises(ValueError, match=r"2\^21"):
        DeepBeliefNetwork([4, 21, 2]).log_prob(rows)


def test_what_is_refused_of_labels(network):
    made, rows = network((4, 3, 2), 3), rows_of(size=4)
    labels = torch.zeros(60, dtype=torch.int64)
    with pytest.raises(ValueError, match="labels must be given"):
        made.fit(rows)
    with pytest.raises(ValueError, match="0 to 2, found 3"):
        made.fit(rows, labels + 3)
    with pytest.raises(ValueError, match="0 to 2, found -1"):
        made.sample(2, label=-1)
    with pytest.raises(ValueError, match="one per row"):
        made.fit(rows, labels[:5])
    with pytest.raises(TypeError, match="whole numbers"):
        made.fit(rows, labels.double())
    plain = network((4, 3, 2))
    for call in (lambda: plain.fit(rows, labels), lambda: plain.sample(1, label=0)):
        with pytest.raises(ValueError, match="no labels"):
            call()
    for call in (plain.predict, plain.predict_proba):
        with pytest.raises(ValueError, match="no labels"):
            call(rows)


def test_learning_that_stops_on_the_way_leaves_the_network(bars, tmp_path):
    """The file of the first layer fits, that of the second does not."""
    options = {"epochs": 1, "generator": 0, "progress": False, "checkpoint": tmp_path}
    DeepBeliefNetwork([6, 4, 3], generator=0).fit(bars, **options)
    made = DeepBeliefNetwork([6, 4, 3], generator=1)
    before = {name: x.clone() for name, x in made.state_dict().items()}
    with pytest.raises(ValueError, match="layer_2"):
        made.fit(bars, lr_above=0.01, **options)
    assert made.history == []
    for name, x in made.state_dict().items():
        assert torch.equal(x, before[name])
