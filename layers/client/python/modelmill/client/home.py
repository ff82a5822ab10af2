"""Where the local cloud keeps its state, and how a client finds it: the environment in, a folder or cloud.json out."""

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "MODELMILL_HOME"
FOLDER = ".modelmill"


def home() -> Path:
    """`MODELMILL_HOME`, else `.modelmill/` in the checkout that holds this code or the working folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    root = repository()
    return (root or Path.cwd()) / FOLDER


def repository() -> Path | None:
    """Root of the modelmill checkout around this code or around the working folder, or None."""
    for start in (Path(__file__).resolve(), Path.cwd() / "_"):
        for folder in start.parents:
            if (folder / "infra_cdk" / "app.py").is_file():
                return folder
    return None


def read_cloud(folder: Path | None = None) -> dict[str, Any] | None:
    """What `modelmill up` wrote about the local cloud (`url`, `token`, `s3_endpoint`, …), or None if it never ran."""
    try:
        document = json.loads(((folder or home()) / "cloud.json").read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return document if isinstance(document, dict) else None
