"""The one exception for what a user can mend."""


class UserError(ValueError):
    """Something the user got wrong: the message names the file, the value and the remedy."""
