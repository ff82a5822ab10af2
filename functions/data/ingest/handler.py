"""Ingest: an SQS batch of S3 "Object Created" events in; one started pipeline run per data file out.

The list of files that ends an upload of several starts a run as a data file does; what lies deeper starts nothing.
An event that was delivered before starts nothing. It writes to the registry and to Step Functions only, never to a
bucket, so nothing it does can trigger it. What cannot be an event at all fails alone and ends in the dead-letter queue.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from modelmill.aws import workflow
from modelmill.aws.records import pipelines
from modelmill.aws.settings import settings
from modelmill.core.data.upload import StoredObject
from modelmill.core.errors import Rejected
from modelmill.core.names import DEFAULT_TENANT, UploadKey

logger = Logger(service="ingest")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{"batchItemFailures": [{"itemIdentifier": message id}]}`: the messages to deliver again."""
    answer = process_partial_response(event=event, record_handler=_take, processor=processor, context=context)
    return dict(answer)


def _take(record: SQSRecord) -> None:
    stored = StoredObject.of(record.json_body)
    if stored is None or stored.bucket != settings().uploads_bucket or stored.is_folder:
        logger.info("ignored", extra={"message_id": record.message_id})
        return
    try:
        upload = UploadKey.parse(stored.key)
    except Rejected as cause:
        _refuse(stored, cause)
        return
    if upload.starts_run:
        _start(stored, upload)


def _start(stored: StoredObject, upload: UploadKey) -> None:
    body = {"dataset": upload.dataset, "upload": stored.as_dict()}
    new = pipelines.start(upload.tenant, stored.run_id, body)
    # Known or not: a first attempt may have died between recording the run and starting it. A second start is none.
    started = workflow.start(stored.run_id, {"run_id": stored.run_id, "tenant": upload.tenant, **body})
    logger.info("started" if started else "known", extra={"run_id": stored.run_id, "new": new})


def _refuse(stored: StoredObject, cause: Rejected) -> None:
    """A key of another shape has no tenant, so the failed run is the default tenant's to see."""
    pipelines.start(DEFAULT_TENANT, stored.run_id, {"dataset": None, "upload": stored.as_dict()})
    pipelines.finish(DEFAULT_TENANT, stored.run_id, "FAILED", {"reason": cause.as_dict(), "warnings": []})
    logger.info("refused", extra={"run_id": stored.run_id, "code": cause.code})
