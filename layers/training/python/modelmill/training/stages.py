"""The two jobs, each a straight line: `train` one candidate; `package` the selected one for serving."""

import json
import time

import torch
from safetensors.torch import load, save

from modelmill.aws import objects
from modelmill.aws.settings import settings
from modelmill.core.digest import canonical_json, digest_of
from modelmill.core.errors import Rejected
from modelmill.core.model.select import CandidateResult
from modelmill.core.model.spec import Candidate, RunSpec
from modelmill.serving.features import Features
from modelmill.training.checkpoints import Checkpoints
from modelmill.training.families import family_of
from modelmill.training.job import Job
from modelmill.training.loop import Run
from modelmill.training.nets import net_of, parameters
from modelmill.training.progress import Stage
from modelmill.training.rows import PROFILE, fetch, read
from modelmill.training.scores import accuracy, log_loss

WEIGHTS, PREPROCESS, RESULT = "weights.safetensors", "preprocess.json", "result.json"


def read_spec(job: Job) -> RunSpec:
    """The run's specification; raises FileNotFoundError if the run has none."""
    return RunSpec.model_validate_json(objects.get(job.bucket, job.prefix + "spec.json"))


def candidate_of(job: Job, spec: RunSpec) -> Candidate:
    """The job's candidate; raises Rejected (`bad_candidate`) if the run has none of that name."""
    for candidate in spec.candidates:
        if candidate.name == job.candidate:
            return candidate
    raise Rejected("bad_candidate", f"the run has no candidate {job.candidate!r}")


def train(job: Job, spec: RunSpec) -> None:
    """Fit one candidate and store weights, preprocessing and validation scores under the run."""
    candidate = candidate_of(job, spec)
    with Stage(spec.tenant, spec.run_id, "train", candidate.name) as progress:
        fetch(settings().data_bucket, spec, job.channel, ["train", "validation"])
        train_rows, validation = read(job.channel, "train", spec), read(job.channel, "validation", spec)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        run = Run(spec.recipe.seed, device, progress.running, _checkpoints(job, spec, candidate))
        started = time.perf_counter()
        fitted = family_of(candidate).fit(train_rows, validation, spec, run)
        seconds = time.perf_counter() - started
        labels = torch.from_numpy(validation.labels)
        result = CandidateResult(
            candidate=candidate.name,
            log_loss=log_loss(fitted.logits, labels),
            accuracy=accuracy(fitted.logits, labels),
            parameters=parameters(fitted.net),
            train_seconds=round(seconds, 3),
        )
        tensors = {name: tensor.contiguous() for name, tensor in fitted.net.state_dict().items()}
        objects.put(job.bucket, job.candidate_prefix + WEIGHTS, save(tensors))
        objects.put(job.bucket, job.candidate_prefix + PREPROCESS, canonical_json(fitted.preprocess))
        objects.put(job.bucket, job.candidate_prefix + RESULT, result.model_dump_json().encode(), "application/json")
        progress.done(
            f"validation log loss {result.log_loss:.4f}, accuracy {result.accuracy:.4f} in {seconds:.1f} s",
            **result.model_dump(mode="json", exclude_none=True),
        )


def _checkpoints(job: Job, spec: RunSpec, candidate: Candidate) -> Checkpoints:
    """SageMaker copies the checkpoint folder itself; on Batch the job keeps a copy beside its results."""
    fingerprint = digest_of([spec.dataset_version, spec.recipe.seed, candidate.model_dump(mode="json")])
    remote = (job.bucket, job.candidate_prefix + job.checkpoint.name) if job.engine == "batch" else None
    return Checkpoints(job.checkpoint, fingerprint, remote)


def package(job: Job, spec: RunSpec) -> None:
    """Measure the selected candidate on the test rows, convert it, make it smaller if that is harmless, package it."""
    from modelmill.training import evaluate
    from modelmill.training.card import card
    from modelmill.training.package import assemble, manifest_of, store

    candidate = candidate_of(job, spec)
    with Stage(spec.tenant, spec.run_id, "evaluate") as progress:
        fetch(settings().data_bucket, spec, job.channel, ["test"], [PROFILE])
        test = read(job.channel, "test", spec)
        preprocess = json.loads(objects.get(job.bucket, job.candidate_prefix + PREPROCESS))
        net = net_of(preprocess, load(objects.get(job.bucket, job.candidate_prefix + WEIGHTS)))
        features = Features(preprocess)
        probabilities = evaluate.probabilities_of_rows(net, features, test)
        metrics = evaluate.metrics(probabilities, test.labels, spec.labels, spec.recipe.seed)
        progress.done(evaluate.summary(metrics))
    with Stage(spec.tenant, spec.run_id, "convert") as progress:
        # Late: onnx and onnxruntime take longer to import than most candidates to train.
        from modelmill.training.convert import check_parity
        from modelmill.training.graph import onnx_model

        model = onnx_model(net)
        parity = check_parity(net, model, features, test, spec)
        progress.done(f"equal on {parity['rows']:,} rows, largest difference {parity['max_difference']:.1e}", **parity)
    with Stage(spec.tenant, spec.run_id, "optimise") as progress:
        from modelmill.training.optimise import optimise

        model, served, report = optimise(model, features, test, spec.recipe.optimise)
        if report["chosen"] != "float32":
            metrics = evaluate.metrics(served, test.labels, spec.labels, spec.recipe.seed)
        files = assemble(
            spec,
            model=model,
            preprocess=preprocess,
            metrics=metrics,
            profile=(job.channel / PROFILE).read_bytes(),
            card=card(spec, candidate.family, metrics, report["chosen"]),
        )
        digest = store(job.bucket, spec.tenant, manifest_of(spec, candidate.name, files), files)
        outcome = {"digest": digest, "candidate": candidate.name, "metrics": metrics}
        outcome |= {"optimise": report, "parity": parity}
        objects.put(job.bucket, job.prefix + "package.json", canonical_json(outcome), "application/json")
        progress.done(f"{report['why']}; package {digest[:12]}", **report)
