import numpy as np
import pytest
import torch

from inversesr.solvers.tv import variation as module
from inversesr.solvers.tv.edges import edge_field
from inversesr.solvers.tv.variation import FirstOrder, SecondOrder
from tests.support.laws import check_operator, normal

SHAPE = (5, 6, 7)
WEIGHTS = (0.7, 1.0, 1.2)
NORMALS = tuple(0.9 * m for m in edge_field(normal(SHAPE, 5), (0.5, 0.5, 0.5)))
SURENESS = 0.8
TERMS = {
    "gradient": FirstOrder(WEIGHTS, 1.0),
    "along edges": FirstOrder(WEIGHTS, 1.0, NORMALS),
    "hessian": SecondOrder(WEIGHTS),
    "hessian along edges": SecondOrder(WEIGHTS, 1.0, NORMALS, SURENESS),
}


class OfWholeImage:
    """A term as an operator, in slabs of some rows."""

    in_shape = SHAPE

    def __init__(self, term, n_rows):
        self.term, self.n_rows = term, n_rows
        self.out_shape = (term.n_components, *SHAPE)

    def slabs(self):
        for start in range(0, SHAPE[0], self.n_rows):
            rows = slice(start, min(start + self.n_rows, SHAPE[0]))
            yield rows, (rows.stop - start + 2, SHAPE[1] + 2, SHAPE[2] + 2)

    def __call__(self, x):
        parts = []
        for rows, shape in self.slabs():
            padded = x.new_zeros(shape)
            module.fill(padded, x, rows)
            p = x.new_zeros((self.term.n_components, rows.stop - rows.start, *SHAPE[1:]))
            self.term.ascend(p, padded, rows, 1.0)
            parts.append(p)
        return torch.cat(parts, dim=1)

    def adjoint(self, p):
        total = p.new_zeros(SHAPE)
        for rows, shape in self.slabs():
            padded = p.new_zeros(shape)
            self.term.spread(p[:, rows], padded, rows)
            module.fold(padded, total, rows)
        return total


def differences(x, axis):
    """Forward differences by torch's own function, zero at the end."""
    last = x.narrow(axis, x.shape[axis] - 1, 1)
    return torch.diff(x, dim=axis, append=last)


def by_formula(name, x):
    gradient = torch.stack([w * differences(x, axis) for axis, w in enumerate(WEIGHTS)])
    if name == "gradient":
        return gradient
    if name == "along edges":
        m = torch.stack(NORMALS)
        return gradient - m * (m * gradient).sum(dim=0)
    parts = []
    for a in range(3):
        for b in range(a, 3):
            weight = WEIGHTS[a] * WEIGHTS[b]
            if a == b:
                slope = differences(x, a)
                before = torch.zeros_like(slope.narrow(a, 0, 1))
                parts.append(weight * torch.diff(slope, dim=a, prepend=before))
            else:
                parts.append(2.0**0.5 * weight * differences(differences(x, a), b))
    if name == "hessian along edges":
        return between_edges(parts)
    return torch.stack(parts)


def between_edges(parts):
    """D H D as products of matrices, voxel by voxel."""
    places = [(a, b) for a in range(3) for b in range(a, 3)]
    h = torch.zeros((*SHAPE, 3, 3), dtype=parts[0].dtype)
    for (a, b), part in zip(places, parts, strict=True):
        h[..., a, b] = h[..., b, a] = part if a == b else part / 2.0**0.5
    m = SURENESS * torch.stack(NORMALS, dim=-1)
    d = torch.eye(3) - m[..., :, None] * m[..., None, :]
    left = d @ h @ d
    return torch.stack([left[..., a, b] * (1.0 if a == b else 2.0**0.5) for a, b in places])


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("name", TERMS)
def test_terms_obey_the_laws(name, n_rows):
    check_operator(OfWholeImage(TERMS[name], n_rows))


@pytest.mark.parametrize("n_rows", [1, 3, 5])
@pytest.mark.parametrize("name", TERMS)
def test_terms_are_their_formulas_however_the_image_is_cut(name, n_rows):
    x = normal(SHAPE, 0)
    torch.testing.assert_close(OfWholeImage(TERMS[name], n_rows)(x), by_formula(name, x))


@pytest.mark.parametrize("name", TERMS)
def test_terms_respect_their_norm(name):
    operator = OfWholeImage(TERMS[name], 5)
    x = normal(SHAPE, 1)
    for _ in range(40):
        x = operator.adjoint(operator(x / x.norm()))
    assert float(x.norm()) <= TERMS[name].norm2


def test_what_points_along_a_normal_is_spared():
    m = tuple(torch.full(SHAPE, value, dtype=torch.float64) for value in (0.8, 0.0, 0.0))
    x = normal(SHAPE, 2)
    spared = OfWholeImage(FirstOrder((1.0, 1.0, 1.0), 1.0, m), 5)(x)
    full = OfWholeImage(FirstOrder((1.0, 1.0, 1.0), 1.0), 5)(x)
    torch.testing.assert_close(spared[0], (1.0 - 0.64) * full[0])
    torch.testing.assert_close(spared[1:], full[1:])


def test_a_straight_ramp_has_no_second_differences_inside():
    i, j, k = np.indices(SHAPE)
    ramp = torch.from_numpy(2.0 * i - j + 3.0 * k)
    second = OfWholeImage(TERMS["hessian"], 2)(ramp)
    assert float(second[:, 1:-1, 1:-1, 1:-1].abs().max()) < 1e-12


def test_shrinking_projects_each_voxel_onto_the_ball():
    p = 3.0 * normal((3, 4, 4, 4), 0)
    expected = p * torch.clamp(2.0 / p.norm(dim=0), max=1.0)
    module.shrink_to_ball(p, 2.0)
    torch.testing.assert_close(p, expected)


@pytest.mark.parametrize("slab_voxels", [1, 90, 10**6])
def test_an_ascent_does_not_depend_on_the_slabs(monkeypatch, slab_voxels):
    monkeypatch.setattr(module, "SLAB_VOXELS", slab_voxels)
    terms = tuple(TERMS.values())
    duals, x = module.zero_duals(terms, normal(SHAPE, 3)), normal(SHAPE, 3)
    slope = module.ascend(terms, duals, x, 0.7)
    expected = torch.zeros_like(x)
    for name, p in zip(TERMS, duals, strict=True):
        stepped = 0.7 * by_formula(name, x)
        stepped /= stepped.norm(dim=0).clamp_min(1.0)
        torch.testing.assert_close(p, stepped)
        expected += OfWholeImage(TERMS[name], 5).adjoint(stepped)
    torch.testing.assert_close(slope, expected)


def test_the_dual_variables_rise_to_the_variation():
    # with x held, <p, K x> grows to radius |K x|_1, the definition of the term
    x, term = normal(SHAPE, 4), FirstOrder(WEIGHTS, 2.0, NORMALS)
    duals = module.zero_duals((term,), x)
    for _ in range(3):
        slope = module.ascend((term,), duals, x, 1e6)
    variation = 2.0 * by_formula("along edges", x).norm(dim=0).sum()
    assert float((slope * x).sum()) == pytest.approx(float(variation), rel=1e-5)


@pytest.mark.parametrize("slab_voxels", [1, 100, 10**6])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_step_is_the_same_in_slabs_and_by_several_threads(monkeypatch, slab_voxels, n_threads):
    terms, x = tuple(TERMS.values()), normal(SHAPE, 1)
    whole = module.zero_duals(terms, x)
    expected = module.ascend(terms, whole, x, 0.3)
    monkeypatch.setattr(module, "SLAB_VOXELS", slab_voxels)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    duals = module.zero_duals(terms, x)
    slope = module.ascend(terms, duals, x, 0.3)
    torch.set_num_threads(before)
    torch.testing.assert_close(slope, expected)
    for found, wanted in zip(duals, whole, strict=True):
        torch.testing.assert_close(found, wanted)
