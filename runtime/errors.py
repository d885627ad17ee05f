"""The base of every room's errors; a room has its own below it, one for each case."""


class UserError(Exception):
    """What a user can act on: one sentence with the failing value and what to do. A command prints it in one line."""
