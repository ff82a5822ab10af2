"""Zips without Docker: locks and sources in, `build/<target>/{layers,functions}/*.zip` and `spark.zip` out.

A layer is built in two steps, each keyed by the sha256 of what goes in, so that a change of our code installs nothing:

1. third-party: `pip install --require-hashes` of the lock for the target's Python and platform, pruned, zipped once;
2. layer: a copy of that zip with our sources appended.

A function is the zip of its folder. What the Spark job carries is one zip of layers, for the Python that EMR has; for
this machine it holds our code alone, which finds the libraries where this process has them.

Where the target's Python is this very interpreter's, bytecode is shipped too.
Run `python -m infra_cdk.bundling --target local|aws [--json]`; it prints each function's weight against Lambda's limit.
"""

import argparse
import compileall
import hashlib
import json
import py_compile
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the folder `constructs/` beside it must not hide the library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from infra_cdk.archive import Weight, append, tree
from infra_cdk.layers import FUNCTION_LAYERS, LAYERS, ROOT, SPARK_LAYERS
from infra_cdk.prune import RULES, is_needed
from modelmill.core.limits import LAMBDA_LAYERS, LAMBDA_UNZIPPED_BYTES, MIB

HOST_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class BundlingError(Exception):
    """A zip cannot be made; the message says what to run."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the zips will run. `platforms` empty: this machine."""

    name: str
    python: str
    platforms: tuple[str, ...]
    compression: int

    @property
    def ships_bytecode(self) -> bool:
        """Bytecode is only valid for the Python that compiled it."""
        return self.python == HOST_PYTHON


TARGETS = {
    # The local cloud runs functions with its own Python; low compression, because nothing is sent anywhere.
    "local": Target("local", HOST_PYTHON, (), 1),
    "aws": Target("aws", "3.13", ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"), 9),
}
SPARK_PYTHON = "3.11"


@dataclass(frozen=True, slots=True)
class Bundles:
    """The zips of one target. The stacks and the tests know zips by this class alone."""

    folder: Path

    def layer(self, name: str) -> Path:
        """The zip of a layer."""
        return self.folder / "layers" / f"{name}.zip"

    def function(self, name: str) -> Path:
        """The zip of a function, by its folder such as `data/ingest`."""
        return self.folder / "functions" / f"{name}.zip"

    @property
    def spark(self) -> Path:
        """The zip of the Spark job's code and libraries."""
        return self.folder / "spark.zip"


def build(target: Target) -> Bundles:
    """Build what is not built; quick, and needs no network, when nothing has changed."""
    bundles = Bundles(ROOT / "build" / target.name)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _build_layer(name, target, bundles), LAYERS))
    for name in FUNCTION_LAYERS:
        sources = tree(ROOT / "functions" / name)
        if not any(file == "handler.py" for file, _ in sources):
            raise BundlingError(f"functions/{name}/handler.py is missing")
        _build_zip(bundles.function(name), sources, target, beginning=None)
    _build_spark(target, bundles)
    return bundles


def _build_layer(name: str, target: Target, bundles: Bundles) -> None:
    _build_zip(bundles.layer(name), _own(name), target, _third_party(name, [name], target))


def _build_spark(target: Target, bundles: Bundles) -> None:
    own = [entry for layer in SPARK_LAYERS for entry in _own(layer)]
    there = replace(target, python=SPARK_PYTHON) if target.platforms else target
    beginning = _third_party("spark", SPARK_LAYERS, there) if target.platforms else None
    _build_zip(bundles.spark, own, there, beginning)


def _own(layer: str) -> list[tuple[str, Path]]:
    return [(f"python/{file}", path) for file, path in tree(ROOT / "layers" / layer / "python")]


def _build_zip(zip_file: Path, sources: list[tuple[str, Path]], target: Target, beginning: Path | None) -> None:
    """Write sources (and their bytecode) after the entries of `beginning`, unless the zip has this key already."""
    key = _key(repr(target), beginning.name if beginning else "", *(part for pair in sources for part in pair))
    stamp = zip_file.with_suffix(".key")
    if zip_file.exists() and stamp.exists() and stamp.read_text() == key:
        return
    zip_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=zip_file.parent) as folder:
        tree_copy, draft = Path(folder) / "tree", Path(folder) / "draft.zip"
        for name, source in sources:
            (tree_copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, tree_copy / name)
        if beginning:
            shutil.copyfile(beginning, draft)
        append(draft, _with_bytecode(tree_copy, target), target.compression)
        stamp.unlink(missing_ok=True)
        draft.replace(zip_file)
        stamp.write_text(key)


def _third_party(name: str, layers: Iterable[str], target: Target) -> Path | None:
    """The zip of the libraries of some layers, installed once per locks and target; None if there are none."""
    locks = [lock for layer in layers if (lock := ROOT / "layers" / layer / "requirements.txt").exists()]
    if not locks:
        return None
    key = _key(repr(target), RULES.pattern, *locks)
    folder = ROOT / "build" / target.name / "third-party"
    zip_file = folder / f"{name}-{key[:16]}.zip"
    if zip_file.exists():
        return zip_file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        site, draft = Path(scratch) / "python", Path(scratch) / "draft.zip"
        _pip_install(locks, site, target)
        for file, path in tree(site):
            if not is_needed(file):
                path.unlink()
        append(draft, [(f"python/{file}", path) for file, path in _with_bytecode(site, target)], target.compression)
        draft.replace(zip_file)
    return zip_file


def _pip_install(locks: list[Path], site: Path, target: Target) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    command += ["--require-hashes", *(f"--requirement={lock}" for lock in locks), "--target", str(site)]
    if target.platforms:
        command += ["--implementation", "cp", "--python-version", target.python]
        command += [argument for platform in target.platforms for argument in ("--platform", platform)]
    result = subprocess.run(  # noqa: S603 - our own arguments, no shell
        command, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        names = ", ".join(str(lock.relative_to(ROOT)) for lock in locks)
        raise BundlingError(
            f"pip could not install {names} for {target.name} (Python {target.python}):\n"
            f"{result.stderr.strip()[-2_000:]}\n"
            f"Where the package index can be reached, run: python -m infra_cdk.bundling --target {target.name}"
        )


def _with_bytecode(folder: Path, target: Target) -> list[tuple[str, Path]]:
    """The folder's files; with the bytecode beside them that the import system takes without looking at any clock."""
    if target.ships_bytecode and folder.exists():
        compileall.compile_dir(
            folder,
            quiet=2,
            stripdir=str(folder),
            prependdir="/opt",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    return [(file.relative_to(folder).as_posix(), file) for file in folder.rglob("*") if file.is_file()]


def _key(*parts: str | Path) -> str:
    """sha256 over texts and files' contents, each with its length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


def report(bundles: Bundles) -> dict[str, dict[str, Weight]]:
    """Weights of the layers, and of each function with all its layers."""
    layers = {name: Weight.of(bundles.layer(name)) for name in LAYERS}
    functions = {}
    for name, carried in FUNCTION_LAYERS.items():
        parts = [Weight.of(bundles.function(name)), *(layers[layer] for layer in carried)]
        functions[name] = Weight(sum(part.zipped for part in parts), sum(part.unzipped for part in parts))
    return {"layers": layers, "functions": functions}


def over_limit(weights: dict[str, dict[str, Weight]]) -> list[str]:
    """Functions that Lambda would refuse."""
    return [
        name
        for name, weight in weights["functions"].items()
        if weight.unzipped > LAMBDA_UNZIPPED_BYTES or len(FUNCTION_LAYERS[name]) > LAMBDA_LAYERS
    ]


def _table(weights: dict[str, dict[str, Weight]]) -> Iterable[str]:
    yield f"{'':32}{'zip MiB':>10}{'unzipped':>10}{'of limit':>10}"
    for kind, rows in weights.items():
        for name, weight in rows.items():
            share = f"{weight.unzipped / LAMBDA_UNZIPPED_BYTES:>9.0%}" if kind == "functions" else ""
            label = f"{name} with layers" if kind == "functions" else f"layer {name}"
            yield f"{label:32}{weight.zipped / MIB:>10.1f}{weight.unzipped / MIB:>10.1f} {share}"


def main() -> int:
    """Build one target and print what it weighs; 1 if a function is too big or cannot be built."""
    parser = argparse.ArgumentParser(description="Build the Lambda zips.")
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--json", action="store_true", help="print weights in bytes as JSON")
    arguments = parser.parse_args()
    try:
        weights = report(build(TARGETS[arguments.target]))
    except BundlingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    text = json.dumps(weights, default=asdict) if arguments.json else "\n".join(_table(weights))
    sys.stdout.write(f"{text}\n")
    too_big = over_limit(weights)
    if too_big:
        sys.stderr.write(f"over Lambda's limit of {LAMBDA_UNZIPPED_BYTES // MIB} MiB: {', '.join(too_big)}\n")
    return 1 if too_big else 0


if __name__ == "__main__":
    sys.exit(main())
