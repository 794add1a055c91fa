"""The recipes' preparation scripts, called inside this process."""

import importlib.util

import pytest
from support import ROOT, Result


@pytest.fixture
def prepare(capfdbinary):
    """Call a script of a recipe: prepare("emodb/local/prepare_emodb.py", …), NAME=value) -> Result.

    NAME=value replaces a global of the script.
    """

    def run(script: str, *args, code: int | None = 0, **replaced) -> Result:
        spec = importlib.util.spec_from_file_location("script", ROOT / "egs" / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, value in replaced.items():
            assert hasattr(module, name)
            setattr(module, name, value)
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as exit:
            module.main([str(arg) for arg in args])
        out, err = capfdbinary.readouterr()
        result = Result(exit.value.code, out, err.decode())
        assert code is None or result.code == code, result.err
        return result

    return run
