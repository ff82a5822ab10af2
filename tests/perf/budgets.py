"""The one table of budgets: what each function may weigh unzipped with its layers, and how long its import may take.

Sizes are checked by a test on every run; times only by `make bench`, because they depend on the machine: they are
for one quiet core of a development machine with a warm page cache.
"""

from dataclasses import dataclass

from modelmill.core.limits import MIB


@dataclass(frozen=True, slots=True)
class Budget:
    """Unzipped bytes with layers, and milliseconds of `import handler` in a new process."""

    unzipped_bytes: int
    import_ms: int


LIGHT = Budget(35 * MIB, 300)
BUDGETS: dict[str, Budget] = {
    "data/ingest": LIGHT,
    "data/preprocess": Budget(220 * MIB, 600),
    "model/select": LIGHT,
    "model/register": LIGHT,
    "serve/deploy": LIGHT,
    "serve/predict": Budget(190 * MIB, 600),
    "serve/control": Budget(40 * MIB, 700),
    "serve/authorise": LIGHT,
    "watch/conclude": LIGHT,
    "watch/observe": LIGHT,
}
