"""What the emulator learns from us: jobs and wide maps of Step Functions, metrics out of log lines, conditions."""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from modelmill.local import batch, emulator, sagemaker, spark
from modelmill.local.connect import ACCOUNT, REGION
from modelmill.local.emf import metrics_in
from modelmill.local.jobs import CORES
from modelmill.local.place import Document, Place, TaskFailed

_STATES = "ministack.services.stepfunctions"
_FORMATION = "ministack.services.cloudformation"
_PSEUDO_PARAMETERS = {
    "AWS::AccountId": {"Value": ACCOUNT},
    "AWS::Partition": {"Value": "aws"},
    "AWS::Region": {"Value": REGION},
}
_INTEGRATIONS: dict[str, Callable[[Document, Place], Document]] = {
    "arn:aws:states:::sagemaker:createTrainingJob": sagemaker.create_training_job,
    "arn:aws:states:::batch:submitJob": batch.submit_job,
    "arn:aws:states:::emr-serverless:startJobRun": spark.start_job_run,
}


class _Task:
    """The Step Functions task that the present thread runs."""

    def __init__(self, execution: dict[str, Any]) -> None:
        self.execution = execution
        self.over = threading.Event()

    def cancelled(self) -> bool:
        """The execution was stopped, or the state gave up waiting (its TimeoutSeconds)."""
        return self.over.is_set() or self.execution["status"] != "RUNNING"


_task: ContextVar[_Task] = ContextVar("task")


def install(home: Path) -> None:
    """Teach the emulator in this process; `home` is the local cloud's state folder."""
    _teach_jobs(home)
    _teach_wide_maps()
    _teach_metrics()
    _teach_conditions()


def _teach_jobs(home: Path) -> None:
    error: Callable[[str, str], Exception] = emulator.part(_STATES, "_ExecutionError")
    dispatch: dict[str, Any] = emulator.part(_STATES, "_SERVICE_DISPATCH")

    def integration(engine: Callable[[Document, Place], Document]) -> Callable[[str, Document], Document]:
        def handler(resource: str, request: Document) -> Document:
            if ".sync" not in resource:
                raise error("States.Runtime", f"{resource}: the local cloud runs jobs with .sync only")
            task = _task.get()
            try:
                return engine(request, Place(home, task.execution["name"], task.cancelled))
            except TaskFailed as failure:
                raise error(failure.error, failure.cause) from None

        return handler

    dispatch.update({prefix: integration(engine) for prefix, engine in _INTEGRATIONS.items()})

    def execute_task(state_def: Document, raw_input: Any, execution: dict[str, Any], ctx: Document) -> Any:
        task = _Task(execution)
        token = _task.set(task)
        try:
            return run_task(state_def, raw_input, execution, ctx)
        finally:
            task.over.set()
            _task.reset(token)

    def fail_execution(execution: dict[str, Any], name: str, cause: str) -> None:
        # A stopped execution's task ends with an error, which must not turn ABORTED into FAILED.
        if execution["status"] == "RUNNING":
            mark_failed(execution, name, cause)

    run_task = emulator.replace(_STATES, "_execute_task", execute_task)
    mark_failed = emulator.replace(_STATES, "_fail_execution", fail_execution)


def _teach_wide_maps() -> None:
    """A distributed map whose `Items` are written in JSONata, which the emulator's own looks past.

    Its items run in the execution itself instead of in children, and no more of them at once than there are cores.
    """

    def run_distributed_map(state_def: Document, raw_input: Any, *rest: Any) -> Any:
        if "Items" not in state_def:
            return run_wide(state_def, raw_input, *rest)
        _effective, iterator, execution, ctx = rest
        inline = {**iterator, "ProcessorConfig": {"Mode": "INLINE"}}
        at_once = min(CORES, state_def.get("MaxConcurrency") or CORES)
        return run_items({**state_def, "ItemProcessor": inline, "MaxConcurrency": at_once}, raw_input, execution, ctx)

    run_items = emulator.part(_STATES, "_run_map_items")
    run_wide = emulator.replace(_STATES, "_run_distributed_map", run_distributed_map)


def _teach_metrics() -> None:
    store = emulator.part("ministack.services.cloudwatch", "_store_datum")

    def read_stderr(worker: Any) -> None:
        """A function's log lines, as they come: to the emulator's queue as before, and their metrics to CloudWatch."""
        # Reading a worker that is killed meanwhile raises ValueError; the emulator's own reader ends just so.
        try:
            for line in worker._proc.stderr:  # noqa: SLF001 - the method of a private class that this one replaces
                for datum in metrics_in(line):
                    store(
                        datum.namespace, datum.name, datum.dimensions, datum.seconds, datum.unit,
                        None, list(datum.values), None, None,
                    )  # fmt: skip
                worker._stderr_queue.put(line.rstrip("\n"))  # noqa: SLF001
        except (ValueError, OSError):
            return

    emulator.replace("ministack.core.lambda_runtime", "Worker._read_stderr", read_stderr)


def _teach_conditions() -> None:
    """Conditions may name `AWS::AccountId` and its like, which the emulator leaves as they are written."""
    evaluate = emulator.part(f"{_FORMATION}.engine", "_evaluate_conditions")

    def evaluate_conditions(template: Document, params: Document) -> dict[str, bool]:
        known: dict[str, bool] = evaluate(template, {**_PSEUDO_PARAMETERS, **params})
        return known

    for module in ("handlers", "stacks", "changesets"):
        emulator.replace(f"{_FORMATION}.{module}", "_evaluate_conditions", evaluate_conditions)
