"""Triton kernels as machine code for GPUs, on a machine without one; in processes where Triton does not interpret."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Bytes of shared memory that a program may have on the smallest of the GPUs with bf16 (compute capability 8.6).
SHARED = 99 << 10
# (format of the maps, compute capability, whether there is one channel, which Triton takes as a constant).
VARIANTS = (("bf16", 90, False), ("fp32", 90, False), ("bf16", 80, False), ("fp32", 80, True))


def compile_kernel(kernel, types: dict, constants: dict, capability: int) -> int:
    """Bytes of a kernel's code.

    Args:
        kernel: of Triton.
        types: of its arguments; pointers to float32 are left out.
        constants: the values of those that are constants.
        capability: of the GPU, 90 for an H100.
    """
    import triton
    from triton.backends.compiler import GPUTarget

    signature = {arg: "constexpr" if arg in constants else types.get(arg, "*fp32") for arg in kernel.arg_names}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert compiled.metadata.shared <= SHARED
    return len(compiled.asm["cubin"])


def print_compiled(module, kernels: dict, types: dict, maps: set) -> None:
    """Compile kernels in all variants, and print the name of each.

    Args:
        module: of the kernels.
        kernels: constants by name; what follows a comma tells several of one kernel apart.
        types: of the arguments that are not maps; pointers to float32 are left out.
        maps: arguments that are maps.
    """
    for format_of_maps, capability, one_channel in VARIANTS:
        for name, constants in kernels.items():
            kernel = getattr(module, name.split(",")[0])
            constants = constants | ({"channels": 1} if one_channel and "channels" in kernel.arg_names else {})
            assert (
                compile_kernel(kernel, types | dict.fromkeys(maps, f"*{format_of_maps}"), constants, capability) > 1000
            )
            print(name)


def compiled_names(shell, path: Path) -> list[str]:
    """What the test file prints when it is run as a script that compiles, in a process of its own."""
    here = f"PYTHONPATH={ROOT}:{ROOT}/tests/helpers"
    return shell(f"{here} {sys.executable} {path}", TRITON_INTERPRET="0", TRITON_CACHE_DIR="cache").text.splitlines()
