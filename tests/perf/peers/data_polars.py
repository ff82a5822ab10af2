"""The steps of the data phase in polars: lazy and streaming as far as the steps allow it."""

import json
from pathlib import Path

import polars as pl
from data_steps import CURRENCY, MISSING, MONEY, PERSONAL, PREFILTER, SEED, TARGET, TRAIN, VALIDATION, arguments, masked

CANDIDATE = PREFILTER.replace("(?s:.)", "(?:.|\n)")


def main() -> None:
    """One file to three Parquet files and a profile."""
    source, folder = arguments()
    rows = pl.scan_csv(
        source, null_values=MISSING, try_parse_dates=True, infer_schema_length=10_000, truncate_ragged_lines=True
    )
    texts = [name for name, kind in rows.collect_schema().items() if kind == pl.String]
    rows = rows.with_columns(pl.col(texts).str.strip_chars())
    rows = rows.with_columns(
        pl.col(MONEY).str.replace_all(CURRENCY, "").cast(pl.Float64, strict=False),
        *(pl.col(name).map_batches(mask, return_dtype=pl.String) for name in PERSONAL),
    )
    clean = folder / "clean.parquet"
    rows.filter(pl.col(TARGET).is_not_null()).unique().sink_parquet(clean, compression="uncompressed")
    profile(pl.scan_parquet(clean), [name for name in texts if name != MONEY], folder)
    split(pl.scan_parquet(clean), folder)
    clean.unlink()


def mask(cells: pl.Series) -> pl.Series:
    """Cells with pseudonyms where the filter says that there may be something."""
    found = cells.str.contains(CANDIDATE).fill_null(value=False).arg_true()
    return cells.scatter(found, [masked(text) for text in cells.gather(found)])


def profile(rows: pl.LazyFrame, texts: list[str], folder: Path) -> None:
    """Counts, missing, distinct, quantiles, frequent values."""
    numbers = [name for name, kind in rows.collect_schema().items() if kind.is_numeric()]
    told = rows.select(
        pl.all().null_count().name.suffix(" missing"),
        pl.all().n_unique().name.suffix(" distinct"),
        pl.col(numbers).mean().name.suffix(" mean"),
        pl.col(numbers).std().name.suffix(" std"),
        *(pl.col(numbers).quantile(q).name.suffix(f" q{q}") for q in (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)),
        *(pl.col(texts).str.len_chars().quantile(q).name.suffix(f" length q{q}") for q in (0, 0.25, 0.5, 0.75, 1)),
    ).collect(engine="streaming")
    frequent = {
        name: rows.group_by(name).len().top_k(20, by="len").collect(engine="streaming").to_dicts() for name in texts
    }
    document = [*told.to_dicts(), frequent]
    (folder / "profile.json").write_text(json.dumps(document, ensure_ascii=False, default=str))


def split(rows: pl.LazyFrame, folder: Path) -> None:
    """A random rank within each class says where a row goes."""
    rank = pl.int_range(pl.len()).shuffle(SEED).over(TARGET) / pl.len().over(TARGET)
    ranked = rows.with_columns(rank.alias("rank")).collect(engine="streaming")
    place = pl.col("rank")
    parts = {
        "train": place < TRAIN,
        "validation": (place >= TRAIN) & (place < TRAIN + VALIDATION),
        "test": place >= TRAIN + VALIDATION,
    }
    for name, chosen in parts.items():
        ranked.lazy().filter(chosen).drop("rank").sink_parquet(folder / f"{name}.parquet", compression="zstd")


main()
