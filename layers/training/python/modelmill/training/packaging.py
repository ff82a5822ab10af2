"""The job that packages a run's winner: what training jobs stored in; a measured, converted, small package out.

Evaluate, convert, optimise, in this order: the test rows measure, validation rows choose the form that is served.
"""

import json
from dataclasses import replace
from typing import Any, NamedTuple

from safetensors.torch import load

from modelmill.aws import objects
from modelmill.aws.settings import settings
from modelmill.core.digest import canonical_json
from modelmill.core.model.select import CandidateResult, leaderboard
from modelmill.core.model.spec import RunSpec
from modelmill.core.names import REPORT
from modelmill.serving.features import Features
from modelmill.training.card import card
from modelmill.training.ensemble import assemble as mix_of
from modelmill.training.ensemble import best
from modelmill.training.evaluate import Answers, answers_of_rows, metrics, summary
from modelmill.training.evaluate.compare import against_champion
from modelmill.training.evaluate.evidence import Evidence, columns_of, sliced
from modelmill.training.job import Job
from modelmill.training.nets import Model, net_of
from modelmill.training.objective import Calibration, objective_of
from modelmill.training.package import assemble, manifest_of, store
from modelmill.training.progress import Stage
from modelmill.training.report import Facts, render
from modelmill.training.rows import PROFILE, Rows, fetch, read
from modelmill.training.stages import HISTORY, NET, PREPROCESS, RESULT, WEIGHTS

ENSEMBLE = "ensemble"


class Chosen(NamedTuple):
    """What is packaged: the winner, or a mix of candidates; `report` says why."""

    name: str
    model: Model
    preprocess: dict[str, Any]
    report: dict[str, Any]
    evidence: Evidence


def package(job: Job, spec: RunSpec) -> None:
    """Measure the winner on the test rows, convert it, make it smaller if that is harmless, package it."""
    with Stage(spec.tenant, spec.run_id, "evaluate") as progress:
        fetch(settings().data_bucket, spec, job.channel, ["validation", "test"], [PROFILE])
        test, board = read(job.channel, "test", spec), _board(job)
        chosen = _chosen(job, spec, board)
        answers = answers_of_rows(chosen.model, Features(chosen.preprocess), test)
        measured = metrics(answers, test, spec, chosen.evidence)
        progress.done(summary(measured), selection=chosen.report)
    with Stage(spec.tenant, spec.run_id, "convert") as progress:
        # Late: onnx and onnxruntime take longer to import than most candidates to train.
        from modelmill.training.convert import check_parity

        converted = chosen.model.onnx()
        parity = check_parity(chosen.model, converted, Features(chosen.preprocess), test, answers, spec)
        progress.done(f"equal on {parity['rows']:,} rows, largest difference {parity['max_difference']:.1e}", **parity)
    with Stage(spec.tenant, spec.run_id, "optimise") as progress:
        from modelmill.training.convert import run_all, session_of
        from modelmill.training.optimise import optimise

        validation = read(job.channel, "validation", spec)
        students = _students(job, spec, chosen)
        form, report = optimise(chosen.model, converted, chosen.preprocess, validation, spec, students)
        if form.name != "float32":
            answers = run_all(session_of(form.model), Features(form.preprocess), test)
            measured = metrics(answers, test, spec, chosen.evidence)
        files = assemble(
            spec,
            model=form.model,
            preprocess=form.preprocess,
            metrics=measured,
            profile=(job.channel / PROFILE).read_bytes(),
            card=card(spec, chosen.name, measured, form.name),
        )
        digest = store(job.bucket, spec.tenant, manifest_of(spec, chosen.name, files), files)
        outcome = {"digest": digest, "candidate": chosen.name, "metrics": measured, "optimise": report}
        _conclude(job, spec, outcome | {"parity": parity, "selection": chosen.report}, answers, test)
        progress.done(f"{report['why']}; package {digest[:12]}", **report)


def _board(job: Job) -> list[CandidateResult]:
    """What the run's training jobs measured, best first."""
    keys = [key for key in objects.keys(job.bucket, job.prefix + "candidates/") if key.endswith(f"/{RESULT}")]
    return leaderboard([CandidateResult.model_validate_json(objects.get(job.bucket, key)) for key in keys])


def _chosen(job: Job, spec: RunSpec, board: list[CandidateResult]) -> Chosen:
    """The candidate that selection named, unless a mix of the leaderboard's is better by more than noise."""
    own = next(result for result in board if result.candidate == job.candidate)
    ranked = [own, *(result for result in board if result is not own)]
    mix = best(job, spec, ranked)
    members = [_trained(replace(job, candidate=name), spec) for name in mix.members]
    model, preprocess = mix_of(members, mix.weights, objective_of(spec))
    name = job.candidate if len(members) == 1 else ENSEMBLE
    evidence = Evidence(columns_of(job.channel, "test", spec, sliced(spec)), model.calibration.scale, own)
    return Chosen(name, model, preprocess, mix.report, evidence)


def _trained(job: Job, spec: RunSpec) -> tuple[Model, dict[str, Any]]:
    """A candidate's model and preprocessing, as its training job stored them."""
    config = json.loads(objects.get(job.bucket, job.candidate_prefix + NET))
    calibration = Calibration(**config.pop("calibration"))
    net = net_of(config, load(objects.get(job.bucket, job.candidate_prefix + WEIGHTS)))
    preprocess = json.loads(objects.get(job.bucket, job.candidate_prefix + PREPROCESS))
    return Model(net, objective_of(spec), calibration), preprocess


def _students(job: Job, spec: RunSpec, chosen: Chosen) -> list[tuple[Model, dict[str, Any]]]:
    """Small models that learnt the winner's answers for the training rows, where the recipe asks for it."""
    if not spec.recipe.optimise.distil:
        return []
    from modelmill.training.optimise.distil import students

    fetch(settings().data_bucket, spec, job.channel, ["train"])
    return students(chosen.model, chosen.preprocess, read(job.channel, "train", spec), spec, job.checkpoint)


def _conclude(job: Job, spec: RunSpec, outcome: dict[str, Any], answers: Answers, test: Rows) -> None:
    """Compare with the model that serves now, draw the report, say what was packaged."""
    champion = against_champion(answers, test, spec, job.channel)
    history = json.loads(objects.get(job.bucket, job.candidate_prefix + HISTORY))
    facts = Facts(spec, outcome["candidate"], outcome["metrics"], _board(job), outcome["optimise"], champion, history)
    objects.put(job.bucket, job.prefix + REPORT, render(facts), "text/html; charset=utf-8")
    document = canonical_json(outcome | {"champion": champion})
    objects.put(job.bucket, job.prefix + "package.json", document, "application/json")
