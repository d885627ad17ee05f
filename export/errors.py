"""What can keep a model from being exported."""

from runtime.errors import UserError


class ExportError(UserError, ValueError):
    """An export that cannot be made as asked, or whose result does not behave like the model it was made from."""


class QuantisationError(ExportError):
    """A network that cannot be made exact: a layer whose sums cannot be proved to stay below 2^24, and the like."""
