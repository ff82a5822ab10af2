"""What Lambda runs and what it is made of: the layers, and which function carries which.

A layer is our own package of that name (`layers/<name>/python`) and the libraries locked in
`layers/<name>/requirements.txt`; either may be absent. `bundling.py` builds from this table, the stacks deploy from it.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LAYERS = ("core", "aws", "frames", "serving", "control")

FUNCTION_LAYERS: dict[str, tuple[str, ...]] = {
    "data/ingest": ("core", "aws"),
    "data/preprocess": ("core", "aws", "frames"),
    "model/select": ("core", "aws"),
    "model/register": ("core", "aws"),
    "serve/deploy": ("core", "aws"),
    "serve/predict": ("core", "aws", "serving"),
    "serve/control": ("core", "aws", "control"),
    "serve/authorise": ("core", "aws"),
    "watch/conclude": ("core", "aws"),
    "watch/observe": ("core", "aws"),
}
"""Folder under `functions/` → its layers."""

SPARK_LAYERS = ("core", "aws", "frames", "spark")
"""What the Spark job carries, as a function carries its layers; `spark` has libraries only."""
SPARK_ENTRY_POINT = ROOT / "layers/frames/python/modelmill/frames/spark.py"
