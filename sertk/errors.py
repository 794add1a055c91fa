"""Errors that are reported to the user in one line."""


class SertkError(Exception):
    """An error that the user can fix; its message is one line and names file, key and offset if there are any.

    The binaries print the message and exit with 1. Any other exception is a bug and shows its traceback.
    """


class ReaderGone(SertkError):
    """Broken pipe: the reader of standard output or error has closed it (`… | head`). Nothing is printed.

    The binaries then end by SIGPIPE, as Unix tools do.
    """


class error_context:
    """Context manager that prefixes the message of a SertkError raised inside.

    Args:
        where: file, key or offset.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> "error_context":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, SertkError):
            raise SertkError(f"{self.where}: {error}") from None


# Messages of libraries without an error class of their own: torch's CPU allocator, oneDNN (which says no more), CUDA.
_NO_MEMORY = ("DefaultCPUAllocator", "could not create a primitive", "could not create a memory",
              "Storage size calculation overflowed", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """True if an error means that memory ran out."""
    # torch's class is recognised by its name: importing torch takes seconds.
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in _NO_MEMORY)
