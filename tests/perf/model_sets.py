"""The data sets of the model benchmark: files in a folder in, what is uploaded and what is measured, out.

None of them is committed (few have a licence for that): MODELMILL_BENCH_DATA names the folder. docs/benchmarks.md says
where each comes from.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DataSet:
    """`files` are uploaded together under these names; `score` is the name of a score in metrics.json."""

    name: str
    files: dict[str, str]
    score: str
    goal: float
    recipe: dict[str, Any] = field(default_factory=dict)
    peer: str = ""
    """The best figure that was found elsewhere, and by what."""


_FIFTH = {"train": 0.68, "validation": 0.12, "test": 0.2}
SETS = (
    DataSet(
        "imdb",
        {"train.parquet": "imdb_train.parquet", "test.parquet": "imdb_test5k.parquet"},
        "accuracy",
        0.910,
        peer="NB-SVM 0.911",
    ),
    DataSet(
        "sst2",
        {"train.tsv": "sst2_train.tsv.gz", "dev.tsv": "sst2_dev.tsv.gz", "test.tsv": "sst2_test.tsv.gz"},
        "accuracy",
        0.814,
        peer="NB-SVM 0.815",
    ),
    DataSet(
        "sst2-quality",
        {"train.tsv": "sst2_train.tsv.gz", "dev.tsv": "sst2_dev.tsv.gz", "test.tsv": "sst2_test.tsv.gz"},
        "accuracy",
        0.875,
        {"preset": "quality"},
        peer="MiniLM, fine-tuned 0.879",
    ),
    DataSet(
        "agnews",
        {"train.csv": "agnews_train5600.csv.gz", "test.csv": "agnews_test2000.csv.gz"},
        "accuracy",
        0.895,
        peer="NB-SVM 0.902",
    ),
    DataSet("chnsenticorp", {"hotel.csv": "chnsenticorp_hotel.csv.gz"}, "accuracy", 0.890, {"split": _FIFTH}, "0.890"),
    DataSet(
        "adult",
        {"train.csv": "adult_train.csv.gz", "test.csv": "adult_test.csv.gz"},
        "roc_auc",
        0.927,
        peer="LightGBM, AutoGluon 0.927",
    ),
    DataSet(
        "california",
        {"housing.csv": "california_housing.csv.gz"},
        "r2",
        0.850,
        {"split": _FIFTH},
        "AutoGluon 0.859, boosting 0.832",
    ),
    *(
        DataSet(
            f"titanic-{seed}",
            {"titanic.csv": "titanic.csv"},
            "accuracy",
            0.815,
            {"seed": seed, "split": _FIFTH},
            "HistGradientBoosting 0.816",
        )
        for seed in range(1, 6)
    ),
    DataSet(
        "clothing",
        {"clothing.parquet": "womens_clothing_reviews.parquet"},
        "roc_auc",
        0.950,
        {
            "target": "Recommended IND",
            "inputs": [
                "Age",
                "Title",
                "Review Text",
                "Positive Feedback Count",
                "Division Name",
                "Department Name",
                "Class Name",
            ],
            "split": _FIFTH,
        },
        "0.951",
    ),
    *(
        DataSet(
            f"digits-{seed}",
            {"digits.zip": "digits_png.zip"},
            "accuracy",
            0.990,
            {"seed": seed, "split": _FIFTH},
            "0.994",
        )
        for seed in range(1, 6)
    ),
    DataSet("cifar10", {"cifar.zip": "cifar10_5k1k.zip"}, "accuracy", 0.70, peer="0.680"),
    DataSet("spoken-digits", {"digits.zip": "spoken_digits_wav.zip"}, "accuracy", 0.97, peer="0.963"),
)
