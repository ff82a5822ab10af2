"""The steps of the data phase with Hugging Face datasets: load, map, filter, train_test_split, to_parquet."""

import json
import os
import re
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Any

os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
import datasets
import pyarrow as pa
import pyarrow.compute as pc
from data_steps import CURRENCY, MISSING, MONEY, PERSONAL, PREFILTER, SEED, TARGET, VALIDATION, arguments, masked

PROCESSES = 2
_CANDIDATE, _CURRENCY = re.compile(PREFILTER), re.compile(CURRENCY)
Batch = dict[str, list[Any]]


def main() -> None:
    """One file to three Parquet files and a profile."""
    source, folder = arguments()
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        rows = datasets.load_dataset(
            "csv", data_files=source, split="train", cache_dir=cache, on_bad_lines="skip", na_values=MISSING,
            keep_default_na=False,
        )  # fmt: skip
        rows = rows.map(clean, batched=True, num_proc=PROCESSES)
        seen: set[bytes] = set()
        rows = rows.filter(lambda batch: fresh(batch, seen), batched=True)
        profile(rows, folder)
        rows = rows.class_encode_column(TARGET)
        parts = rows.train_test_split(test_size=2 * VALIDATION, seed=SEED, stratify_by_column=TARGET)
        rest = parts["test"].train_test_split(test_size=0.5, seed=SEED, stratify_by_column=TARGET)
        for name, part in {"train": parts["train"], "validation": rest["train"], "test": rest["test"]}.items():
            part.to_parquet(str(folder / f"{name}.parquet"))


def clean(batch: Batch) -> Batch:
    """Trimmed texts, money as numbers, personal data masked."""
    for name, cells in batch.items():
        if any(isinstance(cell, str) for cell in cells):
            batch[name] = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
    batch[MONEY] = [float(_CURRENCY.sub("", cell)) if cell else None for cell in batch[MONEY]]
    for name in PERSONAL:
        batch[name] = [masked(cell) if cell and _CANDIDATE.search(cell) else cell for cell in batch[name]]
    return batch


def fresh(batch: Batch, seen: set[bytes]) -> list[bool]:
    """Rows with a target that were not there before."""
    keep = []
    for row, target in zip(zip(*batch.values(), strict=True), batch[TARGET], strict=True):
        digest = blake2b(repr(row).encode(), digest_size=16).digest()
        keep.append(target is not None and digest not in seen)
        seen.add(digest)
    return keep


def profile(rows: "datasets.Dataset", folder: Path) -> None:
    """Counts, missing, distinct, quantiles, frequent values: Arrow's kernels on its table."""
    told: dict[str, Any] = {}
    table = rows.with_format("arrow")[:]
    for name, column in zip(table.column_names, table.columns, strict=True):
        counts = pc.value_counts(column)
        top = counts.take(pc.top_k_unstable(counts.field("counts"), min(20, len(counts))))
        told[name] = {"missing": column.null_count, "distinct": len(counts), "frequent": top.to_pylist()}
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            told[name]["quantiles"] = pc.quantile(column, [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1]).to_pylist()
    (folder / "profile.json").write_text(json.dumps(told, ensure_ascii=False, default=str))


if __name__ == "__main__":
    main()
