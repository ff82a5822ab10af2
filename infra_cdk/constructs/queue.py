"""A queue whose poison goes to a dead-letter queue, where an alarm sees it."""

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class QueueWithDlq(Construct):
    """`queue` hides a message for `visibility` and gives up on it after `attempts`; `dead_letters` keeps it 14 days."""

    def __init__(self, scope: Construct, name: str, *, visibility: Duration, attempts: int = 5) -> None:
        super().__init__(scope, name)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=Duration.days(14),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            visibility_timeout=visibility,
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=attempts),
        )
