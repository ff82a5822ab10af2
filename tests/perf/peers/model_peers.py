"""What people would train instead: a version's folder in; test score and CPU seconds of each, as JSON, out.

`python -m tests.perf.peers.model_peers FOLDER SCORE`, with scikit-learn and LightGBM at their usual settings, on the
same rows (training and validation together) that modelmill's last fit has.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.svm import LinearSVC

from modelmill.core.data.split import files_of
from modelmill.core.model.spec import RunSpec
from modelmill.core.model.task import answers_of, reads_of

Table = Any
SCORES: dict[str, Callable[[Any, Any], float]] = {"accuracy": accuracy_score, "roc_auc": roc_auc_score, "r2": r2_score}


def read(folder: Path, spec: RunSpec, *splits: str) -> Table:
    """The rows of splits as a data frame."""
    parts = [pq.read_table(folder / name) for split in splits for name in files_of(split, spec.files)]
    return pa.concat_tables(parts).to_pandas()


def models(spec: RunSpec) -> dict[str, Any]:
    """The peers that read what the task reads."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    if reads_of(spec.task) == "text":
        unspaced = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
        return {
            "TF-IDF + LinearSVC": make_pipeline(words, LinearSVC()),
            "TF-IDF + LogisticRegression": make_pipeline(words, LogisticRegression(C=10, max_iter=200)),
            "characters + LinearSVC": make_pipeline(unspaced, LinearSVC()),
        }
    numbers = [column.name for column in spec.inputs if column.kind == "number"]
    categories = [column.name for column in spec.inputs if column.kind in ("category", "boolean")]
    texts = [column.name for column in spec.inputs if column.kind == "text"]
    coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    if reads_of(spec.task) == "mixed":
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        both = make_column_transformer(
            *((words, name) for name in texts),
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), categories),
        )
        return {"TF-IDF, numbers, one-hot + LogisticRegression": make_pipeline(both, LogisticRegression(max_iter=500))}
    table = make_column_transformer(("passthrough", numbers), (coded, categories))
    regression = answers_of(spec.task) == "regression"
    boosting = HistGradientBoostingRegressor() if regression else HistGradientBoostingClassifier()
    kind = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
    return {
        "HistGradientBoosting": make_pipeline(table, boosting),
        "LightGBM": make_pipeline(table, kind(verbosity=-1, n_jobs=1)),
    }


def main() -> None:
    """The command line of this module's docstring."""
    folder, score = Path(sys.argv[1]), sys.argv[2]
    spec = RunSpec.model_validate_json((folder / "spec.json").read_bytes())
    if reads_of(spec.task) in ("image", "audio"):
        sys.stdout.write("{}")
        return
    known, test = read(folder, spec, "train", "validation"), read(folder, spec, "test")
    texts = [column.name for column in spec.inputs if column.kind == "text"]
    for rows in (known, test):
        rows[texts] = rows[texts].fillna("")
    reads = reads_of(spec.task)
    told = {}
    for name, model in models(spec).items():
        inputs = [rows[texts].agg(" ".join, axis=1) if reads == "text" else rows for rows in (known, test)]
        started = time.process_time()
        model.fit(inputs[0], known[spec.target])
        answers = model.predict(inputs[1])
        truth = test[spec.target]
        if score == "roc_auc":
            answers, truth = model.predict_proba(inputs[1])[:, 1], np.asarray(truth == spec.labels[1])
        seconds = time.process_time() - started
        told[name] = {"score": round(float(SCORES[score](truth, answers)), 4), "cpu": round(seconds, 1)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
