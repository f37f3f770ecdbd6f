import math
from dataclasses import replace

import pytest
import torch

from inversesr.explain import directions
from inversesr.explain.directions import (
    Direction,
    chance_degrees,
    coefficients,
    draw,
    measure,
    ordered,
    orthonormal,
    principal_activations,
    principal_directions,
    shifted,
    spread_along,
    subspace_degrees,
)
from tests.explain.test_bottleneck import noise_of
from tests.support.problems import generator


@pytest.fixture(scope="module")
def base(opened):
    return opened.at(noise_of(opened))


@pytest.fixture(scope="module")
def draws(opened):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "N_STEPS", 2)
        return draw(opened, 4, generator(3))


def dense_jacobian(base, weight):
    leaf = torch.zeros(base.features.shape)
    step, before = 1e-2, base.reconstruct()
    columns = []
    for index in range(leaf.numel()):
        shift = leaf.clone()
        shift.view(-1)[index] = step
        columns.append((weight * (base.reconstruct(shift) - before) / step).flatten())
    return torch.stack(columns)


def test_directions_are_the_first_singular_vectors_of_the_jacobian(base, monkeypatch):
    """Compared with a singular value decomposition of all of J, column by column."""
    monkeypatch.setattr(directions, "N_ROUNDS", 12)
    weight = torch.ones(base.opened.block.start.shape)
    weight[:4] = 0.0
    J = dense_jacobian(base, weight).double()
    vectors, values, _ = torch.linalg.svd(J, full_matrices=False)
    found = principal_directions(base, weight, 3, generator())
    reached = (found.flatten(1).double() @ J).norm(dim=1)
    torch.testing.assert_close(reached[:2], values[:2], rtol=0.03, atol=0.0)
    # the last one of a subspace converges last
    assert 0.85 * float(values[2]) < float(reached[2]) < 1.02 * float(values[2])
    assert subspace_degrees(found[:1].flatten(1), vectors[:, :1].T)[0] < 15.0
    eye = found.flatten(1) @ found.flatten(1).T
    torch.testing.assert_close(eye, torch.eye(3), atol=1e-4, rtol=0.0)


def test_the_same_seed_gives_the_same_directions(base):
    weight = torch.ones(base.opened.block.start.shape)
    a, b = (principal_directions(base, weight, 2, generator(5)) for _ in range(2))
    assert torch.equal(a, b)


def test_the_progress_of_both_searches_is_told(opened, base, monkeypatch):
    monkeypatch.setattr(directions, "N_STEPS", 1)
    seen = []
    draw(opened, 2, generator(), lambda n, of: seen.append((n, of)))
    assert seen == [(1, 2), (2, 2)]
    told = []
    weight = torch.ones(base.opened.block.start.shape)
    principal_directions(base, weight, 1, generator(), lambda n, of: told.append((n, of)))
    assert told == [(n, directions.N_ROUNDS) for n in range(1, directions.N_ROUNDS + 1)]


def test_samples_differ_in_what_no_slice_shows(draws, opened):
    change = draws.residuals[1] - draws.residuals[0]
    assert float(change.abs().max()) > 1e-3
    torch.testing.assert_close(opened.block.unseen(change), change, atol=1e-5, rtol=1e-3)


def test_bottlenecks_of_samples_are_in_the_units_of_the_base(draws):
    assert draws.bottlenecks.shape == (4, *draws.base.features.shape)
    spread = draws.base.features.flatten(1).std(dim=1)
    torch.testing.assert_close(spread, torch.ones_like(spread), atol=1e-4, rtol=0.0)
    distance = (draws.bottlenecks.mean(dim=0) - draws.base.features).abs().mean()
    assert float(distance) < 1.0
    assert float((draws.bottlenecks[0] - draws.bottlenecks[1]).abs().max()) > 1e-5


def test_the_spread_of_samples_along_a_change_is_found():
    change = torch.randn((4, 4, 4), generator=generator())
    factors = torch.tensor([-3.0, -1.0, 1.0, 3.0])
    centred = factors[:, None, None, None] * change
    sd, length2 = spread_along(centred, change)
    assert sd == pytest.approx(float(factors.std()))
    assert length2 == pytest.approx(float(change.square().sum()))
    torch.testing.assert_close(coefficients(centred, change), factors.double())


def test_samples_that_vary_along_one_change_alone_are_explained_by_it(draws):
    shift = torch.randn(draws.base.features.shape, generator=generator(1))
    shift = shift / shift.norm()
    weight = torch.ones(draws.residuals.shape[1:])
    change = measure(draws, shift[None], weight)[0].change
    made = torch.tensor([-1.0, 0.0, 1.0])[:, None, None, None] * change
    found = measure(replace(draws, residuals=made), shift[None], weight)[0]
    assert found.explained == pytest.approx(1.0, abs=1e-4)
    assert found.sd == pytest.approx(1.0, abs=1e-4)


def test_a_small_shift_changes_the_image_by_its_first_order(draws):
    shift = torch.randn(draws.base.features.shape, generator=generator(1))
    shift = shift / shift.norm()
    weight = torch.ones(draws.residuals.shape[1:])
    (found,) = measure(draws, shift[None], weight)
    small = Direction(found.shift, found.change, 0.02, 0.0)
    low, high = shifted(draws.base, small, (-1.0, 1.0))
    expected = 0.02 * found.change
    assert float((high - expected).norm()) < 0.2 * float(expected.norm())
    assert float((high + low).norm()) < 0.2 * float(expected.norm())


def test_angles_of_known_subspaces():
    eye = torch.eye(5)
    turned = torch.stack([eye[0], (eye[1] + eye[2]) / 2**0.5])
    assert subspace_degrees(eye[:2], turned) == pytest.approx([0.0, 45.0], abs=1e-4)
    assert subspace_degrees(eye[:2], eye[3:]) == pytest.approx([90.0, 90.0])


def test_the_angle_by_chance_is_that_of_random_subspaces():
    n, length = 4, 2000
    found = []
    for seed in range(6):
        a, b = (orthonormal(v) for v in torch.randn((2, n, length), generator=generator(seed)))
        found.append(subspace_degrees(a, b)[0])
    assert chance_degrees(n, length) == pytest.approx(sum(found) / len(found), abs=2.0)
    assert math.isclose(chance_degrees(4, 10), 0.0)


def test_principal_activations_span_what_samples_differ_by():
    a, b = orthonormal(torch.randn((2, 24), generator=generator()))
    rows = torch.stack([3.0 * a + b, -3.0 * a + b, -2.0 * b]).reshape(3, 2, 12)
    found = principal_activations(rows, 4)
    assert len(found) == 2
    assert subspace_degrees(found, torch.stack([a, b]))[1] < 0.1
    assert abs(float(found[0] @ a)) == pytest.approx(1.0, abs=1e-4)


def test_directions_are_ordered_by_what_they_change():
    V = torch.eye(3)
    U = torch.diag(torch.tensor([1.0, 5.0, 2.0])).double()
    torch.testing.assert_close(ordered(V, U), torch.eye(3)[[1, 2, 0]])
