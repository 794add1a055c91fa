"""Triton's interpreter, in which kernels run on a machine without a GPU."""


def take_ranges_of_arguments() -> None:
    """Let kernels loop over a range of an argument: an array of one number to the interpreter, an index no more to numpy 2.4."""
    try:
        from triton.runtime import interpreter
    except ImportError:  # this torch came without Triton
        return
    patch = interpreter._patch_lang_tensor

    def patched(tensor, scope):
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    interpreter._patch_lang_tensor = patched
