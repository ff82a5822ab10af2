"""Students: small models that learn a teacher's answers, and pass the same gate as every other form."""

import json
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load

from modelmill.aws import objects
from modelmill.core.model.recipe import Optimise
from modelmill.serving.features import Features
from modelmill.training.ensemble import assemble
from modelmill.training.evaluate import answers_of_rows
from modelmill.training.nets import Model, net_of
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.optimise import optimise
from modelmill.training.optimise.distil import students
from tests.unit.model.samples import REVIEW_INPUTS, REVIEW_SPLITS, labelled
from tests.unit.model.world import Cloud


@pytest.fixture
def teacher(cloud: Cloud) -> tuple[Model, dict[str, object]]:
    """Two text models as one."""
    recipe: dict[str, Any] = {"selection": {"method": "hold-out"}, "candidates": ["ngram-linear", "ngram-embedding"]}
    spec = cloud.put_run("r1", "text-classification", REVIEW_INPUTS, REVIEW_SPLITS, **recipe)
    members = []
    for candidate in spec.candidates:
        assert cloud.job("train", "r1", candidate.name) == 0
        folder = f"default/runs/r1/candidates/{candidate.name}/"
        config = json.loads(objects.get("models", folder + "net.json"))
        calibration = Calibration(**config.pop("calibration"))
        net = net_of(config, load(objects.get("models", folder + "weights.safetensors")))
        preprocess = json.loads(objects.get("models", folder + "preprocess.json"))
        members.append((Model(net, objective_of(spec), calibration), preprocess))
    return assemble(members, [0.5, 0.5], objective_of(spec))


def test_a_student_answers_as_its_teacher_and_is_one_of_the_forms(
    cloud: Cloud, teacher: tuple[Model, dict[str, object]]
) -> None:
    model, preprocess = teacher
    spec = cloud.specs["r1"]
    train, validation, test = (labelled(REVIEW_SPLITS[split], spec.labels) for split in ("train", "validation", "test"))
    (taught,) = students(model, preprocess, train, spec, cloud.root / "checkpoints/x.safetensors")
    student, learnt = taught
    assert learnt["kind"] == "text"
    theirs = answers_of_rows(model, Features(preprocess), test)
    ours = answers_of_rows(student, Features(learnt), test)
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95
    assert np.allclose(ours.sum(axis=1), 1, atol=1e-5)
    asked = spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"optimise": Optimise(max_loss=0.05)})})
    form, report = optimise(model, model.onnx(), preprocess, validation, asked, [taught])
    assert {"distilled", "float32"} <= report.keys()
    assert report["distilled"]["total_bytes"] < report["float32"]["total_bytes"]
    assert form.name.startswith("distilled")


def test_an_n_gram_model_needs_no_student(cloud: Cloud, teacher: tuple[Model, dict[str, object]]) -> None:
    model, preprocess = teacher
    spec = cloud.specs["r1"]
    rows = labelled(REVIEW_SPLITS["train"], spec.labels)
    assert students(model, {"kind": "text"}, rows, spec, cloud.root / "x") == []
    assert preprocess["kind"] == "parts"
