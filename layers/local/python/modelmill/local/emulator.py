"""The emulator's private parts that we use: checked at start, typed here, and nowhere else in modelmill.

ministack has no plug-in interface. Its version is pinned exactly; if the installed one differs, or a name or a
parameter that we rely on is not there, the launcher refuses to start and says which.
"""

import importlib
import importlib.metadata
import inspect
from typing import Any

VERSION = "1.5.33"
# module, dotted name, parameters (None: not a function)
_CONTRACT: tuple[tuple[str, str, tuple[str, ...] | None], ...] = (
    ("ministack.app", "app", ("scope", "receive", "send")),
    ("ministack.app", "main", ()),
    ("ministack.app", "_build_persistence_save_dict", ()),
    ("ministack.core.persistence", "save_state", ("service", "data")),
    ("ministack.core.lambda_runtime", "Worker._read_stderr", ("self",)),
    (
        "ministack.services.cloudwatch",
        "_store_datum",
        ("namespace", "name", "dims", "ts", "unit", "value", "values", "counts", "stat_values"),
    ),
    *(
        (f"ministack.services.cloudformation.{module}", "_evaluate_conditions", ("template", "params"))
        for module in ("engine", "handlers", "stacks", "changesets")
    ),
    ("ministack.services.stepfunctions", "_SERVICE_DISPATCH", None),
    ("ministack.services.stepfunctions", "_ExecutionError", ("error", "cause")),
    ("ministack.services.stepfunctions", "_execute_task", ("state_def", "raw_input", "execution", "ctx")),
    ("ministack.services.stepfunctions", "_run_map_items", ("state_def", "raw_input", "execution", "ctx")),
    (
        "ministack.services.stepfunctions",
        "_run_distributed_map",
        ("state_def", "raw_input", "effective", "iterator", "execution", "ctx"),
    ),
    ("ministack.services.stepfunctions", "_fail_execution", ("execution", "error", "cause")),
)


class ContractBroken(Exception):
    """Not the emulator that the plug-in was written for."""


def check() -> None:
    """Raise ContractBroken unless every private name is as expected."""
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise ContractBroken(
            f"ministack {found} is installed, modelmill needs {VERSION}: pip install ministack=={VERSION}"
        )
    for module, name, parameters in _CONTRACT:
        try:
            target = part(module, name)
        except AttributeError:
            raise ContractBroken(f"ministack has no {module}.{name}") from None
        if parameters is not None and tuple(inspect.signature(target).parameters) != parameters:
            raise ContractBroken(f"{module}.{name} does not take {parameters}")


def part(module: str, name: str) -> Any:
    """A private thing of the emulator; raises AttributeError if it is not there."""
    target: Any = importlib.import_module(module)
    for step in name.split("."):
        target = getattr(target, step)
    return target


def replace(module: str, name: str, value: Any) -> Any:
    """Put `value` in the place of a private thing and return what was there."""
    *path, last = name.split(".")
    owner = part(module, ".".join(path)) if path else importlib.import_module(module)
    before = getattr(owner, last)
    setattr(owner, last, value)
    return before
