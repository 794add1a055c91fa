"""Triton's interpreter, in which kernels run on a machine without a GPU, and where it differs from one."""

import numpy as np


def as_on_a_gpu() -> None:
    """Mend three of its ways: it is set up anew for every call of a kernel, by functions that are replaced here.

    An argument can be the end of a range (numpy 2.4 takes no array of one number for an index); bf16 is rounded to the nearest,
    not cut off; products of bf16 are of the numbers, not of their bits.
    """
    try:
        import triton.language as tl
        from triton.runtime import interpreter
    except ImportError:  # this torch came without Triton
        return
    builder = interpreter.InterpreterBuilder
    patch, cast, dot = interpreter._patch_lang_tensor, builder.cast_impl, builder.create_dot

    def patch_tensor(tensor, scope):
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

    def cast_rounded(self, src, to):
        if src.dtype.scalar == tl.float32 and to.scalar == tl.bfloat16:
            bits = np.ascontiguousarray(src.data).view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            return interpreter.TensorHandle(rounded.astype(np.uint16), to.scalar)
        return cast(self, src, to)

    def dot_of_numbers(self, a, b, *rest):
        return dot(self, *(_in_float32(matrix, tl, interpreter) for matrix in (a, b)), *rest)

    interpreter._patch_lang_tensor, builder.cast_impl, builder.create_dot = patch_tensor, cast_rounded, dot_of_numbers


def _in_float32(matrix, tl, interpreter):
    if matrix.dtype.scalar != tl.bfloat16:
        return matrix
    return interpreter.TensorHandle((matrix.data.astype(np.uint32) << 16).view(np.float32), tl.float32)
