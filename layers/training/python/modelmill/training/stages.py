"""The job that trains one candidate: rows in; weights, preprocessing, outputs and scores under the run, out."""

from pathlib import Path

import torch
from safetensors.torch import save

from modelmill.aws import objects
from modelmill.aws.settings import settings
from modelmill.core.digest import canonical_json, digest_of
from modelmill.core.errors import Rejected
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.training import parallel
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.families import ALONE
from modelmill.training.job import Job
from modelmill.training.nets import config_of
from modelmill.training.objective import objective_of
from modelmill.training.progress import Stage
from modelmill.training.rows import fetch, read
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
            weights=_weights(job, spec, candidate),
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


def _weights(job: Job, spec: RunSpec, candidate: Candidate) -> Path | None:
    """The folder of the candidate's pretrained weights, fetched if they are the tenant's own."""
    if candidate.weights is None:
        return None
    from modelmill.training.pretrained import fetch_weights

    name, folder = candidate.weights, job.root / "input/weights" / candidate.weights

    def fetched() -> None:
        fetch_weights(job.bucket, spec.tenant, name, folder)

    parallel.once_a_host(fetched)
    return fetch_weights(job.bucket, spec.tenant, name, folder)  # what is there is not downloaded again


def _checkpoints(job: Job, spec: RunSpec, candidate: Candidate) -> Checkpoints:
    """SageMaker copies the checkpoint folder itself; on Batch the job keeps a copy beside its results."""
    loop = spec.recipe.training.model_dump(mode="json")
    fingerprint = digest_of([spec.dataset_version, spec.recipe.seed, loop, candidate.model_dump(mode="json")])
    remote = (job.bucket, job.candidate_prefix + job.checkpoint.name) if job.engine == "batch" else None
    return Checkpoints(job.checkpoint, fingerprint, remote)


def _summary(result: CandidateResult) -> str:
    scores = {result.measure: result.loss, **result.scores}
    listed = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in scores.items() if value is not None)
    return f"validation {listed} in {result.train_seconds:.1f} s"
