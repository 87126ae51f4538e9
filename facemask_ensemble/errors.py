"""Errors that are the user's to fix."""


class InputError(ValueError):
    """Refuse an input: one line that names the value received and the next step.

    The command line prints it and exits with code 2; every other exception is a bug.
    """
