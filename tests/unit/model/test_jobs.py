"""The jobs as the engines start them: data and a specification in S3, results and packages in S3."""

import json
import shutil

import numpy as np
import onnxruntime as ort
import pytest

from modelmill.aws import objects
from modelmill.core.model.package import FILES, MANIFEST, Manifest, verify
from modelmill.core.model.task import Task
from modelmill.serving.features import Features
from modelmill.training.__main__ import main
from tests.unit.model.samples import MEASURED_INPUTS, MEASURED_SPLITS, REVIEW_INPUTS, REVIEW_SPLITS, Cells
from tests.unit.model.world import Cloud

TEXT: Task = "text-classification"
TABULAR: Task = "tabular-classification"
DATA: dict[Task, tuple[dict[str, str], dict[str, Cells]]] = {
    TEXT: (REVIEW_INPUTS, REVIEW_SPLITS),
    TABULAR: (MEASURED_INPUTS, MEASURED_SPLITS),
}
CASES = [(TEXT, "ngram-linear"), (TEXT, "ngram-embedding"), (TABULAR, "linear"), (TABULAR, "tabm")]
LEAST = 0.75
"""Accuracy that each candidate reaches on the samples; the majority class is right for about 0.6."""


def _package(digest: str) -> dict[str, bytes]:
    return {name: objects.get("models", f"default/packages/{digest}/{name}") for name in (*FILES, MANIFEST)}


@pytest.mark.parametrize(("task", "candidate"), CASES)
def test_every_candidate_ends_as_a_verified_package_that_answers_raw_rows(
    cloud: Cloud, task: Task, candidate: str
) -> None:
    inputs, splits = DATA[task]
    cloud.put_run("r1", task, inputs, splits)
    assert cloud.job("train", "r1", candidate) == 0
    result = cloud.json(f"default/runs/r1/candidates/{candidate}/result.json")
    assert result["scores"]["accuracy"] > LEAST
    assert cloud.job("package", "r1", candidate) == 0

    outcome = cloud.json("default/runs/r1/package.json")
    files = _package(outcome["digest"])
    verify(Manifest.model_validate_json(files.pop(MANIFEST)), outcome["digest"], files)

    # What serving does: raw columns in, the class that the label file names out.
    features = Features(json.loads(files["preprocess.json"]))
    labels = json.loads(files["labels.json"])
    test = splits["test"]
    session = ort.InferenceSession(files["model.onnx"], providers=["CPUExecutionProvider"])
    probabilities = session.run(["probabilities"], features.arrays({name: test[name] for name in inputs}))[0]
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    right = np.mean([labels[best] == truth for best, truth in zip(probabilities.argmax(1), test["label"], strict=True)])
    assert right == pytest.approx(outcome["metrics"]["accuracy"]["value"], abs=1e-6)
    assert right > LEAST


def test_the_same_data_recipe_and_seed_give_the_same_digest_in_another_run(cloud: Cloud) -> None:
    digests = set()
    weights = set()
    for run_id in ("r1", "r2"):
        cloud.put_run(run_id, TABULAR, MEASURED_INPUTS, MEASURED_SPLITS)
        assert cloud.job("train", run_id, "tabm") == 0
        shutil.rmtree(cloud.root / "checkpoints")
        assert cloud.job("package", run_id, "tabm") == 0
        weights.add(objects.get("models", f"default/runs/{run_id}/candidates/tabm/weights.safetensors"))
        digests.add(cloud.json(f"default/runs/{run_id}/package.json")["digest"])
    assert len(weights) == 1
    assert len(digests) == 1


def test_rows_in_several_files_train_the_same_model(cloud: Cloud) -> None:
    folded = {split: {**cells, "__fold__": [0] * len(cells["label"])} for split, cells in MEASURED_SPLITS.items()}
    # The last file of the test has no rows: a range of digests may hold none.
    for run_id, splits, files in (("r1", MEASURED_SPLITS, 1), ("r2", folded, 30)):
        cloud.put_run(run_id, TABULAR, MEASURED_INPUTS, splits, files)
        assert cloud.job("train", run_id, "linear") == 0
        assert cloud.job("package", run_id, "linear") == 0
        shutil.rmtree(cloud.root / "input")
    first, second = (cloud.json(f"default/runs/{run_id}/package.json")["digest"] for run_id in ("r1", "r2"))
    assert first == second


def test_a_file_that_is_missing_fails_the_job(cloud: Cloud) -> None:
    spec = cloud.put_run("r1", TEXT, REVIEW_INPUTS, REVIEW_SPLITS, 3)
    objects.delete_all("data", f"{spec.data_prefix}train-00001-of-00003.parquet")
    assert cloud.job("train", "r1", "ngram-linear") == 1
    assert "train-00001" in cloud.json("default/runs/r1/candidates/ngram-linear/failure.json")["message"]


def test_another_seed_gives_other_weights(cloud: Cloud) -> None:
    weights = set()
    for seed in (7, 8):
        cloud.put_run(f"r{seed}", TABULAR, MEASURED_INPUTS, MEASURED_SPLITS, seed=seed)
        assert cloud.job("train", f"r{seed}", "tabm") == 0
        weights.add(objects.get("models", f"default/runs/r{seed}/candidates/tabm/weights.safetensors"))
    assert len(weights) == 2


def test_progress_is_reported_stage_by_stage(cloud: Cloud) -> None:
    cloud.put_run("r1", TEXT, REVIEW_INPUTS, REVIEW_SPLITS)
    cloud.job("train", "r1", "ngram-linear")
    cloud.job("package", "r1", "ngram-linear")
    stages = cloud.stages("r1")
    assert [(stage["stage"], stage["candidate"], stage["status"]) for stage in stages] == [
        ("train", "ngram-linear", "SUCCEEDED"),
        ("evaluate", None, "SUCCEEDED"),
        ("convert", None, "SUCCEEDED"),
        ("optimise", None, "SUCCEEDED"),
    ]
    assert all(stage["message"] for stage in stages)


def test_sagemaker_passes_parameters_in_a_file_and_mounts_the_data(cloud: Cloud) -> None:
    spec = cloud.put_run("r1", TEXT, REVIEW_INPUTS, REVIEW_SPLITS)
    for split in ("train", "validation"):
        key = f"{spec.data_prefix}{split}.parquet"
        objects.download("data", key, cloud.root / f"input/data/dataset/{split}.parquet")
        objects.put("data", key, b"read from the channel, not from here")
    config = cloud.root / "input/config/hyperparameters.json"
    config.parent.mkdir(parents=True)
    values = {"stage": "train", "run": "s3://models/default/runs/r1/", "candidate": "ngram-linear"}
    config.write_text(json.dumps(values), encoding="utf-8")
    assert main(["train"]) == 0
    assert cloud.json("default/runs/r1/candidates/ngram-linear/result.json")["scores"]["accuracy"] > 0.8


def test_a_refusal_is_written_where_the_engine_and_the_run_look_for_it(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = {"text": ["…"] * 40, "label": ["yes", "no"] * 20}
    cloud.put_run("r1", TEXT, REVIEW_INPUTS, {"train": nothing, "validation": nothing, "test": nothing})
    assert cloud.job("train", "r1", "ngram-linear") == 1
    failure = cloud.json("default/runs/r1/candidates/ngram-linear/failure.json")
    assert failure["code"] == "no_words"
    assert failure["message"] in (cloud.root / "output/failure").read_text(encoding="utf-8")
    assert [(stage["status"], stage["message"]) for stage in cloud.stages("r1")] == [("FAILED", failure["message"])]
    assert "Traceback" not in capsys.readouterr().err


def test_an_unexpected_fault_ends_with_exit_code_1_and_its_cause(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cloud.job("package", "never-started", "linear") == 1
    failure = cloud.json("default/runs/never-started/failure.json")
    assert failure["code"] == "job_failed"
    assert "spec.json" in failure["message"]
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["train"], ["--stage", "train", "--run", "s3://models"]])
def test_missing_parameters_are_refused(cloud: Cloud, arguments: list[str]) -> None:
    assert main(arguments) == 1
    assert "bad_parameters" in (cloud.root / "output/failure").read_text(encoding="utf-8")


def test_a_candidate_that_the_run_does_not_have_is_refused(cloud: Cloud) -> None:
    cloud.put_run("r1", TEXT, REVIEW_INPUTS, REVIEW_SPLITS)
    assert cloud.job("train", "r1", "forest") == 1
    assert cloud.json("default/runs/r1/candidates/forest/failure.json")["code"] == "bad_candidate"
