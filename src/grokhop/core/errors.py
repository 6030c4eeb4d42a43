"""The one kind of error that a person is meant to read."""


class InputError(ValueError):
    """The input or the usage is wrong: one line that says what, where and what to do.

    The command line prints the line and leaves with exit code 2; nothing has been written.
    """
