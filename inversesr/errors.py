"""Errors that a user can act on; anything else that is raised is a bug."""


class InverseSRError(Exception):
    """A failure while working: one sentence with what was found, expected and to be done."""


class InputError(InverseSRError):
    """Unusable input or wrong usage, found before any work was done (exit status 2)."""
