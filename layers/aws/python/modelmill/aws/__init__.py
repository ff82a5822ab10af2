"""modelmill's only way to AWS: S3 objects, DynamoDB records, Step Functions runs. No other package imports boto3."""
