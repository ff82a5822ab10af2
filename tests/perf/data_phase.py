"""The whole data phase, as benchmarks and hostile files run it: files in; the files of a version and an account out.

The one place that knows the entry point: `python -m tests.perf.data_phase FILE FOLDER` is the benchmark's own side.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelmill.core.data.mask import Pseudonyms
from modelmill.core.model.recipe import Recipe
from modelmill.frames.describe import Run, describe
from modelmill.frames.prepare import prepare
from modelmill.frames.write import write

PSEUDONYMS = Pseudonyms(b"a key of benchmarks, of 32 bytes")


def run(files: Sequence[tuple[Path, str]], folder: Path) -> dict[str, Any]:
    """Prepare the files of an upload, each with its name, without a recipe, and write their version to `folder`.

    The version as JSON. Raises Rejected.
    """
    recipe = Recipe()
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        prepared = prepare(files, recipe, PSEUDONYMS, Path(work), folder)
        version, _ = describe(prepared, recipe, Run("20261124t000000-0000000000", "default", "data", {}))
        write(prepared, version, folder)
    document: dict[str, Any] = version.model_dump(mode="json")
    return document


def main() -> None:
    """Prepare one file and print its account."""
    version = run([(Path(sys.argv[1]), "data.csv")], Path(sys.argv[2]))
    told = {name: version[name] for name in ("rows", "splits", "quarantine")}
    sys.stdout.write(json.dumps(told | {"masked": sum(sum(kinds.values()) for kinds in version["masked"].values())}))


if __name__ == "__main__":
    main()
