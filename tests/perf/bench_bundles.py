"""Each function's unzipped size with its layers and the time of its import, against the budgets."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra_cdk.layers import FUNCTION_LAYERS
from modelmill.core.limits import LAMBDA_UNZIPPED_BYTES, MIB
from tests.functions.rie import world
from tests.functions.rie.life import Life
from tests.functions.rie.probe import imported
from tests.perf.budgets import BUDGETS
from tests.perf.timing import head, row, spread

ROUNDS = 7


def tables() -> Iterator[str]:
    """One row for each function; the first import of each is dropped, because it fills the page cache."""
    with tempfile.TemporaryDirectory() as made, world.running(Path(made)) as aws, Life(aws, Path(made)) as life:
        times = f"import ms, median (min) of {ROUNDS}"
        yield head("function", "layers", "unzipped MiB (budget)", "of Lambda's 250", times, "budget ms")
        for name, layers in FUNCTION_LAYERS.items():
            function, budget = life.unpacked(name), BUDGETS[name]
            taken = [imported(function, aws.variables(function.name)).seconds * 1_000 for _ in range(ROUNDS + 1)][1:]
            size = f"{function.size / MIB:.1f} ({budget.unzipped_bytes // MIB})"
            share = f"{function.size / LAMBDA_UNZIPPED_BYTES:.0%}"
            yield row(f"`{name}`", ", ".join(layers), size, share, spread(taken), budget.import_ms)
