"""The image of least variation by an interior-point solver, which shares nothing with ours.

    minimise  sum_terms weight sum_voxels |K x|      subject to  |A x - y| <= radius

as a second-order cone program; every K is written down as a matrix, voxel by voxel.

Reference: Goulart, Chen (2024), Clarabel: an interior-point solver for conic programs with
quadratic objectives, arXiv:2405.12762.
"""

from itertools import combinations_with_replacement

import clarabel
import numpy as np
from scipy import sparse

PAIRS = tuple(combinations_with_replacement(range(3), 2))


def differences(shape):
    """Forward differences along each axis, zero at the end: three matrices (n, n)."""
    found = []
    for axis, n in enumerate(shape):
        step = sparse.diags([-np.ones(n), np.ones(n - 1)], [0, 1]).tolil()
        step[n - 1] = 0.0
        parts = [sparse.identity(m) for m in shape]
        parts[axis] = step
        found.append(sparse.csr_matrix(sparse.kron(sparse.kron(parts[0], parts[1]), parts[2])))
    return found


def second_differences(shape):
    """Second differences of every pair of axes: the Hessian, (a, b) -> matrix (n, n)."""
    first = differences(shape)
    return {(a, b): -(first[a].T @ first[a]) if a == b else first[a] @ first[b] for a, b in PAIRS}


def first_order(shape, weights, normals=None):
    """K x = (1 - m m') w G x, shape (n, 3) voxel by voxel: three matrices (n, n)."""
    gradient = [w * d for w, d in zip(weights, differences(shape), strict=True)]
    if normals is None:
        return gradient
    m = [sparse.diags(component.ravel()) for component in normals]
    along = sum(a @ d for a, d in zip(m, gradient, strict=True))
    return [d - a @ along for a, d in zip(m, gradient, strict=True)]


def second_order(shape, weights, normals=None):
    """K x = D (w w' H x) D, D = 1 - m m': nine matrices (n, n), the entries of a 3 x 3 matrix.

    D is that of the voxel where the Hessian is taken: from either side, it multiplies H x.
    """
    n = int(np.prod(shape))
    hessian = second_differences(shape)
    H = [
        [weights[a] * weights[b] * hessian[min(a, b), max(a, b)] for b in range(3)]
        for a in range(3)
    ]
    m = [sparse.csr_matrix((n, n))] * 3
    if normals is not None:
        m = [sparse.diags(component.ravel()) for component in normals]
    D = [[(a == b) * sparse.identity(n) - m[a] @ m[b] for b in range(3)] for a in range(3)]
    return [
        sparse.csr_matrix(sum(D[a][c] @ D[d][b] @ H[c][d] for c in range(3) for d in range(3)))
        for a in range(3)
        for b in range(3)
    ]


def variation(x, terms):
    """Return sum_terms weight sum_voxels |K x|, for terms of (weight, K)."""
    flat = np.asarray(x, dtype=np.float64).ravel()
    return sum(weight * np.linalg.norm([k @ flat for k in K], axis=0).sum() for weight, K in terms)


def least_variation(A, y, radius, terms):
    """Return the image of least variation whose misfit is at most a radius.

    Args:
        A: Matrix (n_measurements, n).
        y: Measurements, shape (n_measurements,).
        radius: Largest |A x - y|; 0 for none.
        terms: Pairs of a weight and a list of matrices (n, n), see `variation`.
    """
    n, n_terms = A.shape[1], len(terms)
    objective = np.concatenate([np.zeros(n), *(np.full(n, weight) for weight, _ in terms)])
    nothing = sparse.csr_matrix((A.shape[0], n_terms * n))
    rows, right, cones = [], [], []
    if radius > 0.0:
        rows += [sparse.csr_matrix((1, (1 + n_terms) * n)), sparse.hstack([-A, nothing])]
        right += [[radius], -y]
        cones.append(clarabel.SecondOrderConeT(1 + len(y)))
    else:
        rows.append(sparse.hstack([A, nothing]))
        right.append(y)
        cones.append(clarabel.ZeroConeT(len(y)))
    for index, (_, K) in enumerate(terms):
        bound = sparse.csr_matrix((n, n_terms * n)).tolil()
        bound[:, index * n : (index + 1) * n] = sparse.identity(n)
        blocks = [sparse.hstack([sparse.csr_matrix((n, n)), -bound])]
        blocks += [sparse.hstack([-k, sparse.csr_matrix((n, n_terms * n))]) for k in K]
        # rows of one voxel stand together
        order = np.arange((1 + len(K)) * n).reshape(1 + len(K), n).T.ravel()
        rows.append(sparse.csr_matrix(sparse.vstack(blocks))[order])
        right.append(np.zeros((1 + len(K)) * n))
        cones += [clarabel.SecondOrderConeT(1 + len(K))] * n
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    size = (1 + n_terms) * n
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix((size, size)), objective, sparse.csc_matrix(sparse.vstack(rows)),
        np.concatenate(right), cones, settings,
    )  # fmt: skip
    solution = solver.solve()
    assert str(solution.status) == "Solved"
    return np.array(solution.x[:n])
