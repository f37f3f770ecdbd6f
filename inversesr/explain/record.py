"""What a scan leaves open, as plain data: all but the pictures."""

from inversesr.explain.openness import OpenDirection, Openness


def as_record(found: Openness) -> dict[str, object]:
    """Return what was found as plain data, without pictures."""
    return {
        "box_mm": list(found.box_mm),
        "is_whole_brain": found.is_whole,
        "n_samples": found.n_samples,
        "numbers": {
            name: {"image": value, "sd_of_samples": sd}
            for name, (value, sd) in found.numbers_sd.items()
        },
        "angles_to_activations_degrees": list(found.agreement),
        "smallest_angle_by_chance_degrees": found.by_chance,
        "directions": [_direction_record(d) for d in found.directions],
    }


def _direction_record(found: OpenDirection) -> dict[str, object]:
    numbers = {
        name: {
            "minus_2_sd": e.low,
            "mean": e.mean,
            "plus_2_sd": e.high,
            "sd_of_samples": e.sd,
            "effect": e.size,
            "correlation": e.correlation,
        }
        for name, e in found.effects.items()
    }
    return {
        "name": found.name,
        "reason": found.reason,
        "share_of_variance": found.explained,
        "largest_change_of_the_scan": found.misfit_share,
        "numbers": numbers,
        "energy_at_structures": found.by_label,
    }
