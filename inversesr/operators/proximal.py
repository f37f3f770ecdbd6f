"""What solvers ask of a measurement, for any linear operator: nearest images and samples.

    prox            argmin |x - x0|^2 / r2 + |A x - y|^2 / sigma2
    project         the nearest image with A x = y
    nearest_within  the nearest image with |A x - y| <= radius
    sample          x ~ N(x0, r2) given y = A x + noise

In closed form where the operator offers a spectrum, x = x0 + A' U g(lambda) U' (y - A x0) for some
g; else by conjugate gradients to a stated tolerance. Complex numbers count as pairs of real ones.
"""

from dataclasses import dataclass, replace

import torch

from inversesr.operators.conjugate_gradient import (
    ROUNDING_UNITS,
    Effort,
    LeastSquares,
    least_squares,
)
from inversesr.operators.inner_product import inner, norm, squared_modulus, white_noise
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.spectrum import Spectrum, spectrum_of

NEWTON_STEPS, NEWTON_TOLERANCE = 20, 1e-6
# With iterated equations a radius is met to this share.
SECANT_STEPS, SECANT_TOLERANCE = 20, 1e-5
EFFORT = Effort()


@dataclass(frozen=True, eq=False)
class Found:
    """An image, and whether it is what was asked for. Not converging is a result.

    Attributes:
        x: The image, shape A.in_shape.
        status: "closed form", "converged", or a sentence's end that says what is amiss.
        n_steps: Iterations done, each a product with A and one with A'; 0 in closed form.
        is_converged: Whether the image is what was asked for.
    """

    x: torch.Tensor
    status: str = "closed form"
    n_steps: int = 0
    is_converged: bool = True


def prox(
    A: LinearOperator,
    x0: torch.Tensor,
    y: torch.Tensor,
    r2: float,
    sigma2: float,
    effort: Effort = EFFORT,
) -> Found:
    """Return argmin |x - x0|^2 / r2 + |A x - y|^2 / sigma2.

    Args:
        A: Operator.
        x0: Image to stay close to, shape A.in_shape.
        y: Data to agree with, shape A.out_shape.
        r2: Variance of the image about x0, above 0.
        sigma2: Variance of the noise, at least 0; 0 gives `project`.
        effort: When to end where there is no closed form.
    """
    if sigma2 == 0.0:
        return project(A, x0, y, effort)
    spectrum = spectrum_of(A)
    if spectrum is None:
        return _moved(x0, least_squares(A, y - A(x0), sigma2 / r2, effort))
    return Found(_corrected(A, spectrum, x0, y, r2 / (r2 * spectrum.values + sigma2)))


def project(A: LinearOperator, x: torch.Tensor, y: torch.Tensor, effort: Effort = EFFORT) -> Found:
    """Return the image nearest to x that reproduces the data: A result = y.

    Where y cannot be reproduced, such as where several slices say the same thing twice, the
    result is the nearest of those that fit best. In closed form the correction is applied twice:
    the second pass removes the rounding error that an ill-conditioned A (overlapping slices)
    leaves in float32.

    Args:
        A: Operator.
        x: Image, shape A.in_shape.
        y: Data, shape A.out_shape.
        effort: When to end where there is no closed form.
    """
    spectrum = spectrum_of(A)
    if spectrum is None:
        rounding = ROUNDING_UNITS * torch.finfo(y.dtype).eps * norm(A.adjoint(y))
        return _moved(x, least_squares(A, y - A(x), 0.0, effort, rounding=rounding))
    gain = spectrum.inverse_values
    once = _corrected(A, spectrum, x, y, gain)
    return Found(_corrected(A, spectrum, once, y, gain))


def nearest_within(
    A: LinearOperator,
    x: torch.Tensor,
    y: torch.Tensor,
    radius: float,
    effort: Effort = EFFORT,
) -> Found:
    """Return the image nearest to x whose misfit |A result - y| is at most radius.

    The result is x + alpha (1 + alpha A' A)^-1 A' (y - A x). The reciprocal of its misfit is
    concave and nearly linear in alpha, so Newton's method, or the secant, rises to the root from
    alpha = 0 in a few steps.

    Args:
        A: Operator.
        x: Image, shape A.in_shape; returned as it is where it fits already.
        y: Data, shape A.out_shape.
        radius: Largest misfit, at least 0; 0 gives `project`.
        effort: When to end where there is no closed form.

    Reference: More, Sorensen (1983), Computing a trust region step, SIAM Journal on Scientific and
    Statistical Computing 4(3):553-572, doi:10.1137/0904038.
    """
    if radius == 0.0:
        return project(A, x, y, effort)
    spectrum = spectrum_of(A)
    if spectrum is None:
        return _nearest_by_iteration(A, x, y, radius, effort)
    return _nearest_in_closed_form(A, spectrum, x, y, radius)


def sample_posterior(
    A: LinearOperator,
    x0: torch.Tensor,
    y: torch.Tensor,
    variances: tuple[float, float],
    generator: torch.Generator,
    effort: Effort = EFFORT,
) -> Found:
    """Draw x ~ N(x0, r2) given y = A x + noise, by perturb and optimise.

    Exact where `prox` is in closed form, else to its tolerance.

    Args:
        A: Operator.
        x0: Prior mean, shape A.in_shape.
        y: Data, shape A.out_shape.
        variances: (r2, sigma2): prior variance and noise variance, both above 0; of each of the
            two parts where image or data are complex.
        generator: Source of randomness.
        effort: When to end where there is no closed form.

    Reference: Papandreou, Yuille (2010), Gaussian sampling by local perturbations, Advances in
    Neural Information Processing Systems 23.
    """
    r2, sigma2 = variances
    u = x0 + r2**0.5 * white_noise(x0, generator)
    noisy = y + sigma2**0.5 * white_noise(y, generator)
    return prox(A, u, noisy, r2, sigma2, effort)


def _moved(x: torch.Tensor, found: LeastSquares) -> Found:
    """Return an image moved by what was found."""
    status = "converged"
    if not found.is_converged:
        status = (
            f"stopped after {found.n_steps} steps of conjugate gradients, its gradient at "
            f"{found.gradient:.1e} of the first"
        )
    return Found(x + found.d, status, found.n_steps, found.is_converged)


def _corrected(
    A: LinearOperator, s: Spectrum, x: torch.Tensor, y: torch.Tensor, gain: torch.Tensor
) -> torch.Tensor:
    """Return x + A' U (gain U' (y - A x)), or the same by the spectrum of A' A."""
    return _added(A, s, x, _coefficients(A, s, y - A(x)), gain)


def _coefficients(A: LinearOperator, s: Spectrum, residual: torch.Tensor) -> torch.Tensor:
    """Return U' r, or U' A' r where the basis is one of images."""
    return s.analyse(A.adjoint(residual) if s.of_image else residual)


def _added(
    A: LinearOperator, s: Spectrum, x: torch.Tensor, c: torch.Tensor, gain: torch.Tensor
) -> torch.Tensor:
    """Return x and what its coefficients, multiplied by a gain, add to it."""
    step = s.synthesise(_like(gain, c) * c)
    return x + (step if s.of_image else A.adjoint(step))


def _like(values: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Return eigenvalues on the device and in the precision of coefficients, and real."""
    return values.to(device=c.device, dtype=c.real.dtype if c.is_complex() else c.dtype)


def _nearest_in_closed_form(
    A: LinearOperator, s: Spectrum, x: torch.Tensor, y: torch.Tensor, radius: float
) -> Found:
    c, seen, outside2 = _explained(A, s, y - A(x))
    values = _like(s.values, c)
    misfit = (inner(seen, seen) + outside2) ** 0.5
    if misfit <= radius:
        return Found(x)
    least = _least_misfit(s, seen, outside2)
    if least >= radius:
        return _out_of_reach(project(A, x, y), least, radius)
    alpha = 0.0
    for _ in range(NEWTON_STEPS):
        shrunk = seen / (1.0 + alpha * values)
        misfit = (inner(shrunk, shrunk) + outside2) ** 0.5
        if misfit <= radius * (1.0 + NEWTON_TOLERANCE):
            break
        slope = inner(squared_modulus(shrunk), values / (1.0 + alpha * values))
        alpha += misfit * misfit * (misfit - radius) / (radius * slope)
    found = Found(_added(A, s, x, c, alpha / (1.0 + alpha * values)))
    is_met = misfit <= radius * (1.0 + NEWTON_TOLERANCE)
    return found if is_met else _out_of_reach(found, misfit, radius)


def _explained(
    A: LinearOperator, s: Spectrum, residual: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return coefficients of a residual, those in a basis of data, and |what is in neither|^2."""
    c = _coefficients(A, s, residual)
    if not s.of_image:
        return c, c, 0.0
    seen = _like(s.inverse_values.sqrt(), c) * c
    return c, seen, max(inner(residual, residual) - inner(seen, seen), 0.0)


def _least_misfit(s: Spectrum, seen: torch.Tensor, outside2: float) -> float:
    """Return the misfit that no image can go below."""
    is_unseen = s.inverse_values == 0.0
    if not bool(is_unseen.any()):
        return float(outside2**0.5)
    unseen = _like(is_unseen, seen) * seen
    return float((inner(unseen, unseen) + outside2) ** 0.5)


def _nearest_by_iteration(
    A: LinearOperator, x: torch.Tensor, y: torch.Tensor, radius: float, effort: Effort
) -> Found:
    residual = y - A(x)
    misfit = norm(residual)
    if misfit <= radius:
        return Found(x)
    gradient = A.adjoint(residual)
    # 1 / misfit at alpha = 0 and, by its slope there, a first alpha
    known = (0.0, 1.0 / misfit)
    slope = inner(gradient, gradient) / misfit**3
    n_steps, d = 0, None
    for _ in range(SECANT_STEPS if slope > 0.0 else 0):
        alpha = known[0] + (1.0 / radius - known[1]) / slope
        found = least_squares(A, residual, 1.0 / alpha, effort, d)
        n_steps, d, misfit = n_steps + found.n_steps, found.d, norm(found.misfit)
        if not found.is_converged:
            return replace(_moved(x, found), n_steps=n_steps)
        if misfit <= radius * (1.0 + SECANT_TOLERANCE):
            return Found(x + d, "converged", n_steps)
        slope = (1.0 / misfit - known[1]) / (alpha - known[0])
        known = (alpha, 1.0 / misfit)
        if slope <= 0.0:
            break
    nearest = project(A, x, y, effort)
    least = norm(y - A(nearest.x))
    return _out_of_reach(replace(nearest, n_steps=n_steps + nearest.n_steps), least, radius)


def _out_of_reach(found: Found, misfit: float, radius: float) -> Found:
    """Return an image that is as near to the data as can be, and say so."""
    status = f"the misfit stays {misfit / radius:.3g} times what was asked for"
    return replace(found, status=status, is_converged=False)
