"""The steps of the data phase in pandas: read, types, clean, mask, duplicates, profile, stratified split, Parquet."""

import json
from pathlib import Path

import pandas as pd
from data_steps import CURRENCY, DATE, MISSING, MONEY, PERSONAL, PREFILTER, SEED, TARGET, VALIDATION, arguments, masked
from sklearn.model_selection import train_test_split


def main() -> None:
    """One file to three Parquet files and a profile."""
    source, folder = arguments()
    rows = pd.read_csv(source, on_bad_lines="skip", na_values=MISSING, keep_default_na=False)
    rows = clean(rows)
    for name in PERSONAL:
        may_hold = rows[name].str.contains(PREFILTER, regex=True, na=False)
        rows.loc[may_hold, name] = rows.loc[may_hold, name].map(masked)
    rows = rows[rows[TARGET].notna()].drop_duplicates()
    profile(rows, folder)
    train, rest = train_test_split(rows, test_size=2 * VALIDATION, stratify=rows[TARGET], random_state=SEED)
    validation, test = train_test_split(rest, test_size=0.5, stratify=rest[TARGET], random_state=SEED)
    for name, part in {"train": train, "validation": validation, "test": test}.items():
        part.to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Trimmed texts, money as numbers, dates as dates."""
    for name in rows.select_dtypes("str"):
        rows[name] = rows[name].str.strip()
    rows[MONEY] = pd.to_numeric(rows[MONEY].str.replace(CURRENCY, "", regex=True), errors="coerce")
    rows[DATE] = pd.to_datetime(rows[DATE], format="%Y-%m-%d", errors="coerce")
    return rows


def profile(rows: pd.DataFrame, folder: Path) -> None:
    """Counts, missing, distinct, quantiles, frequent values."""
    texts = rows.select_dtypes("str")
    told = {
        "numbers": rows.describe(include="number", percentiles=[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]).to_dict(),
        "missing": rows.isna().sum().to_dict(),
        "distinct": rows.nunique().to_dict(),
        "lengths": {name: texts[name].str.len().describe().to_dict() for name in texts},
        "frequent": {name: texts[name].value_counts().head(20).to_dict() for name in texts},
    }
    (folder / "profile.json").write_text(json.dumps(told, ensure_ascii=False, default=str))


main()
