"""What a user can put right."""


class SertkError(Exception):
    """Something that the user can put right: a one-line message naming file, key and offset where there are any.

    The binaries print it as one line and exit with 1. Any other exception is a bug and shows its traceback.
    """
