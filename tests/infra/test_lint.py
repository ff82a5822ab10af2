"""cfn-lint over the templates; what does not suit generated templates is switched off in their metadata."""

import subprocess
import sys
from pathlib import Path

from infra_cdk.layers import FUNCTION_LAYERS, ROOT
from modelmill.core.lifecycle import STAGES
from tests.infra.templates import STACKS


def test_cfn_lint_finds_nothing(assembly: Path) -> None:
    command = Path(sys.executable).with_name("cfn-lint")
    result = subprocess.run(
        [command, *(assembly / f"modelmill-{stack}.template.json" for stack in STACKS)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_functions_are_the_folders_and_the_life_cycle() -> None:
    top = ROOT / "functions"
    folders = {handler.parent.relative_to(top).as_posix() for handler in top.glob("*/*/handler.py")}
    assert folders == set(FUNCTION_LAYERS)
    stages = {stage.function for stage in STAGES} - {"model/job"}
    assert stages == folders - {"serve/control", "serve/authorise"}
