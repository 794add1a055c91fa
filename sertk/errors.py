"""What a user can put right."""


class SertkError(Exception):
    """Something that the user can put right: a one-line message naming file, key and offset where there are any.

    The binaries print it as one line and exit with 1. Any other exception is a bug and shows its traceback.
    """


class ReaderGone(SertkError):
    """Whoever read our standard output or error stopped reading (`… | head`): no mistake, and nothing to say.

    The binaries end by SIGPIPE then, as Unix tools do.
    """


class error_context:
    """Context manager that puts `where` (file, key, offset) in front of the message of a SertkError raised inside."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if isinstance(error, SertkError):
            raise SertkError(f"{self.where}: {error}") from None


# What libraries say that have no class of errors for it: torch's allocator on a CPU, oneDNN (no more than that), CUDA's.
_NO_MEMORY = ("DefaultCPUAllocator", "could not create a primitive", "could not create a memory",
              "Storage size calculation overflowed", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no more memory."""
    # torch's class is known by its name: it is not imported here.
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in _NO_MEMORY)
