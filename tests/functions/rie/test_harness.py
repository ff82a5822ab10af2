"""The harness itself: what it must hide, report and clean up, shown on functions of three lines."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.functions.rie.runtime import Emulated, FunctionError, Unpacked, descendants

Make = Callable[[str], Emulated]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(code: str) -> Emulated:
        task, opt = tmp_path / "task", tmp_path / "opt"
        task.mkdir()
        (opt / "python").mkdir(parents=True)
        (opt / "python" / "layered.py").write_text("NAME = 'from the layer'")
        (task / "handler.py").write_text(code)
        return Emulated(Unpacked("watch/example", task, opt), {"GIVEN": "yes"}, tmp_path / "log")

    return made


def test_a_function_sees_its_layer_and_its_variables(make: Make) -> None:
    code = "import os, layered\ndef handler(event, context):\n    return [event, layered.NAME, os.environ['GIVEN']]"
    with make(code) as function:
        assert function.invoke({"a": 1}) == [{"a": 1}, "from the layer", "yes"]


def test_a_function_does_not_see_what_its_layers_lack(make: Make) -> None:
    with (
        make("import pydantic\ndef handler(event, context):\n    return 1") as function,
        pytest.raises(FunctionError) as caught,
    ):
        function.invoke({})
    assert caught.value.kind == "Runtime.ImportModuleError"
    assert "No module named 'pydantic'" in caught.value.message


def test_an_exception_keeps_its_name_and_its_place(make: Make) -> None:
    with (
        make("def handler(event, context):\n    return event['missing']") as function,
        pytest.raises(FunctionError) as caught,
    ):
        function.invoke({})
    assert caught.value.kind == "KeyError"
    assert 'handler.py", line 2' in caught.value.trace[0]


def test_the_calling_shell_does_not_leak_in(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "1")
    with make("import os\ndef handler(event, context):\n    return sorted(os.environ)") as function:
        assert "SECRET_OF_THE_SHELL" not in function.invoke({})


def test_leaving_ends_a_function_that_hangs(make: Make) -> None:
    code = "import time\ndef handler(event, context):\n    print('hanging', flush=True)\n    time.sleep(600)"
    with ThreadPoolExecutor(1) as pool, make(code) as function:
        pool.submit(function.invoke, {})
        started = time.monotonic()
        while "hanging" not in function.log:
            assert time.monotonic() - started < 20
            time.sleep(0.02)
        processes = descendants(function.pid)
    assert processes
    end = time.monotonic() + 10  # a killed process may take a moment to be gone
    while (left := [pid for pid in processes if runs(pid)]) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left


def runs(pid: int) -> bool:
    """False also for a zombie: where nothing adopts orphans, an ended process stays as an entry without a program."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
