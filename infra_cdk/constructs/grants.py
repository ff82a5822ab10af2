"""Least privilege, by hand: a bucket or table and what may be done in, IAM statements with exact resources out.

The first part of every object key is the tenant, which is known only at run time: hence the leading `*` of prefixes.
"""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

Statements = list[iam.PolicyStatement]

DATASETS = "*/datasets/*"
QUARANTINE = "*/quarantine/*"
SCRATCH = "*/scratch/*"
RUNS = "*/runs/*"
PACKAGES = "*/packages/*"
WEIGHTS = "*/weights/*"
UPLOADS = "*"


def allow(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    """A statement that allows `actions` on `resources`."""
    return iam.PolicyStatement(actions=actions, resources=resources)


def read(bucket: s3.IBucket, *prefixes: str, versions: bool = False) -> Statements:
    """Read objects. Listing goes with it: without it S3 answers 403, not 404, for a key that is not there."""
    actions = ["s3:GetObject", *(["s3:GetObjectVersion"] if versions else [])]
    return [
        allow(actions, [bucket.arn_for_objects(prefix) for prefix in prefixes]),
        allow(["s3:ListBucket"], [bucket.bucket_arn]),
    ]


def resume(bucket: s3.IBucket, *prefixes: str) -> Statements:
    """See what has arrived of objects that are written in parts."""
    return [
        allow(["s3:ListMultipartUploadParts"], [bucket.arn_for_objects(prefix) for prefix in prefixes]),
        allow(["s3:ListBucketMultipartUploads"], [bucket.bucket_arn]),
    ]


def write(bucket: s3.IBucket, *prefixes: str) -> Statements:
    """Write objects, in one piece or in parts."""
    objects = [bucket.arn_for_objects(prefix) for prefix in prefixes]
    return [allow(["s3:PutObject", "s3:AbortMultipartUpload"], objects)]


def erase(bucket: s3.IBucket, *prefixes: str) -> Statements:
    """Remove objects with all their versions, for good."""
    objects = [bucket.arn_for_objects(prefix) for prefix in prefixes]
    return [
        allow(["s3:DeleteObject", "s3:DeleteObjectVersion"], objects),
        allow(["s3:ListBucketVersions"], [bucket.bucket_arn]),
    ]


def records(table: dynamodb.ITable, *operations: str) -> Statements:
    """Call DynamoDB operations such as `GetItem` on the table."""
    return [allow([f"dynamodb:{operation}" for operation in operations], [table.table_arn])]
