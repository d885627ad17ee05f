"""The base of what can go wrong with an input of training: data sets and checkpoints."""

from runtime.errors import UserError


class LmconvError(UserError, ValueError):
    """A message of one sentence with the failing value and what to do."""
