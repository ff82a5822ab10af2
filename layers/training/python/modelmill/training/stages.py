"""The two jobs, each a straight line: `train` one candidate; `package` the selected one for serving."""

import json
from typing import Any

import torch
from safetensors.torch import load, save

from modelmill.aws import objects
from modelmill.aws.settings import settings
from modelmill.core.digest import canonical_json, digest_of
from modelmill.core.errors import Rejected
from modelmill.core.model.select import CandidateResult, leaderboard
from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.core.names import REPORT
from modelmill.serving.features import Features
from modelmill.training import parallel
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.evaluate.evidence import Evidence, columns_of, sliced
from modelmill.training.families import ALONE
from modelmill.training.job import Job
from modelmill.training.nets import Model, config_of, net_of
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.progress import Stage
from modelmill.training.rows import PROFILE, fetch, read
from modelmill.training.run import Run

WEIGHTS, NET, PREPROCESS, RESULT = "weights.safetensors", "net.json", "preprocess.json", "result.json"
HISTORY = "history.json"
"""Losses and learning rate of every epoch of every loop of the candidate."""
OUTPUTS = "outputs.safetensors"
"""Raw outputs [n, K] of rows that the fits did not learn from, their places [n] and what is true of them."""


def read_spec(job: Job) -> RunSpec:
    """The run's specification; raises FileNotFoundError if the run has none."""
    return RunSpec.model_validate_json(objects.get(job.bucket, job.prefix + "spec.json"))


def candidate_of(job: Job, spec: RunSpec) -> Candidate:
    """The job's candidate; raises Rejected (`bad_candidate`) if the run has none of that name."""
    for candidate in spec.candidates:
        if candidate.name == job.candidate:
            return candidate
    raise Rejected("bad_candidate", f"the run has no candidate {job.candidate!r}")


def spreads(job: Job, spec: RunSpec) -> bool:
    """Whether several processes train the candidate together. Trials do not: each is a job's own choice."""
    candidate = candidate_of(job, spec)
    return candidate.family not in ALONE and candidate.study is None


def train(job: Job, spec: RunSpec) -> None:
    """Fit one candidate and store weights, preprocessing and validation scores under the run."""
    from modelmill.training.train import train as fit_and_measure

    candidate = candidate_of(job, spec)
    with Stage(spec.tenant, spec.run_id, "train", candidate.name, silent=not parallel.leads()) as progress:
        parallel.once_a_host(lambda: fetch(settings().data_bucket, spec, job.channel, ["train", "validation"]))
        rows, validation = read(job.channel, "train", spec), read(job.channel, "validation", spec)
        run = Run(
            spec=spec,
            candidate=candidate,
            objective=objective_of(spec, rows),
            device=parallel.device(),
            progress=progress.running,
            checkpoints=_checkpoints(job, spec, candidate),
        )
        trained = fit_and_measure(rows, validation, run)
        if not parallel.leads():
            return
        tensors = {name: tensor.contiguous() for name, tensor in trained.net.state_dict().items()}
        outputs = {"raw": trained.raw.contiguous(), "places": torch.from_numpy(trained.places)}
        outputs["target"] = torch.from_numpy(trained.target)
        calibration = {"scale": trained.calibration.scale, "shift": trained.calibration.shift}
        net = config_of(trained.net) | {"calibration": calibration}
        for name, data in (
            (WEIGHTS, save(tensors)),
            (NET, canonical_json(net)),
            (PREPROCESS, canonical_json(trained.preprocess)),
            (OUTPUTS, save(outputs)),
            (HISTORY, canonical_json(run.history)),
        ):
            objects.put(job.bucket, job.candidate_prefix + name, data)
        result = trained.result
        objects.put(job.bucket, job.candidate_prefix + RESULT, result.model_dump_json().encode(), "application/json")
        progress.done(_summary(result), **result.model_dump(mode="json", exclude_none=True))


def _checkpoints(job: Job, spec: RunSpec, candidate: Candidate) -> Checkpoints:
    """SageMaker copies the checkpoint folder itself; on Batch the job keeps a copy beside its results."""
    fingerprint = digest_of([spec.dataset_version, spec.recipe.seed, candidate.model_dump(mode="json")])
    remote = (job.bucket, job.candidate_prefix + job.checkpoint.name) if job.engine == "batch" else None
    return Checkpoints(job.checkpoint, fingerprint, remote)


def _summary(result: CandidateResult) -> str:
    scores = {result.measure: result.loss, **result.scores}
    listed = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in scores.items() if value is not None)
    return f"validation {listed} in {result.train_seconds:.1f} s"


def package(job: Job, spec: RunSpec) -> None:
    """Measure the selected candidate on the test rows, convert it, make it smaller if that is harmless, package it."""
    from modelmill.training.card import card
    from modelmill.training.evaluate import answers_of_rows, metrics, summary
    from modelmill.training.evaluate.compare import against_champion
    from modelmill.training.package import assemble, manifest_of, store
    from modelmill.training.report import Facts, render

    candidate = candidate_of(job, spec)
    with Stage(spec.tenant, spec.run_id, "evaluate") as progress:
        fetch(settings().data_bucket, spec, job.channel, ["validation", "test"], [PROFILE])
        validation, test = read(job.channel, "validation", spec), read(job.channel, "test", spec)
        model, preprocess = _trained(job, spec)
        features = Features(preprocess)
        board, evidence = _board(job), _evidence(job, spec, model)
        answers = answers_of_rows(model, features, test)
        measured = metrics(answers, test, spec, evidence)
        progress.done(summary(measured))
    with Stage(spec.tenant, spec.run_id, "convert") as progress:
        # Late: onnx and onnxruntime take longer to import than most candidates to train.
        from modelmill.training.convert import check_parity

        converted = model.onnx()
        parity = check_parity(model, converted, features, test, spec)
        progress.done(f"equal on {parity['rows']:,} rows, largest difference {parity['max_difference']:.1e}", **parity)
    with Stage(spec.tenant, spec.run_id, "optimise") as progress:
        from modelmill.training.convert import run_all, session_of
        from modelmill.training.optimise import optimise

        form, report = optimise(model, converted, preprocess, validation, spec)
        if form.name != "float32":
            answers = run_all(session_of(form.model), Features(form.preprocess), test)
            measured = metrics(answers, test, spec, evidence)
        files = assemble(
            spec,
            model=form.model,
            preprocess=form.preprocess,
            metrics=measured,
            profile=(job.channel / PROFILE).read_bytes(),
            card=card(spec, candidate.family, measured, report["chosen"]),
        )
        digest = store(job.bucket, spec.tenant, manifest_of(spec, candidate.name, files), files)
        outcome: dict[str, Any] = {"digest": digest, "candidate": candidate.name, "metrics": measured}
        champion = against_champion(answers, test, spec, job.channel)
        outcome |= {"optimise": report, "parity": parity, "champion": champion}
        history = json.loads(objects.get(job.bucket, job.candidate_prefix + HISTORY))
        page = render(Facts(spec, candidate.name, measured, board, report, champion, history))
        objects.put(job.bucket, job.prefix + REPORT, page, "text/html; charset=utf-8")
        objects.put(job.bucket, job.prefix + "package.json", canonical_json(outcome), "application/json")
        progress.done(f"{report['why']}; package {digest[:12]}", **report)


def _board(job: Job) -> list[CandidateResult]:
    """What the run's training jobs measured, best first."""
    keys = [key for key in objects.keys(job.bucket, job.prefix + "candidates/") if key.endswith(f"/{RESULT}")]
    return leaderboard([CandidateResult.model_validate_json(objects.get(job.bucket, key)) for key in keys])


def _evidence(job: Job, spec: RunSpec, model: Model) -> Evidence:
    """What the evaluation knows beside the answers; the test split is in the job's channel."""
    result = CandidateResult.model_validate_json(objects.get(job.bucket, job.candidate_prefix + RESULT))
    return Evidence(columns_of(job.channel, "test", spec, sliced(spec)), model.calibration.scale, result)


def _trained(job: Job, spec: RunSpec) -> tuple[Model, dict[str, Any]]:
    """The selected candidate's model and preprocessing, as its training job stored them."""
    config = json.loads(objects.get(job.bucket, job.candidate_prefix + NET))
    calibration = Calibration(**config.pop("calibration"))
    net = net_of(config, load(objects.get(job.bucket, job.candidate_prefix + WEIGHTS)))
    preprocess = json.loads(objects.get(job.bucket, job.candidate_prefix + PREPROCESS))
    return Model(net, objective_of(spec), calibration), preprocess
