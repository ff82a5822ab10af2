"""The table itself: items in and out by key, with conditions. The other modules of this package say what is stored."""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from modelmill.aws.clients import client
from modelmill.aws.settings import settings

Body = dict[str, Any]
BATCH_ITEMS = 25
"""Items in one BatchWriteItem: Amazon DynamoDB, "BatchWriteItem"."""


class ConditionFailed(Exception):
    """Somebody else was first."""


def _call(operation: str, **arguments: Any) -> dict[str, Any]:
    try:
        result: dict[str, Any] = getattr(client("dynamodb"), operation)(TableName=settings().table, **arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise ConditionFailed from error
        raise
    return result


def key(pk: str, sk: str) -> dict[str, Any]:
    """A DynamoDB key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def body_of(item: dict[str, Any]) -> Body:
    """The JSON document of an item."""
    body: Body = json.loads(item["body"]["S"])
    return body


def put(pk: str, sk: str, body: Body, *, new: bool = False, **attributes: dict[str, str]) -> None:
    """Write an item; with `new`, raise ConditionFailed if the key is taken."""
    item = key(pk, sk) | {"body": {"S": json.dumps(body, ensure_ascii=False)}} | attributes
    _call("put_item", Item=item, **({"ConditionExpression": "attribute_not_exists(pk)"} if new else {}))


def put_if(
    pk: str, sk: str, body: Body, *, condition: str, values: dict[str, Any], **attributes: dict[str, str]
) -> None:
    """Replace an item if `condition` holds for the present one, else raise ConditionFailed."""
    item = key(pk, sk) | {"body": {"S": json.dumps(body, ensure_ascii=False)}} | attributes
    _call("put_item", Item=item, ConditionExpression=condition, ExpressionAttributeValues=values)


def get(pk: str, sk: str, *, consistent: bool = False) -> Body | None:
    """The JSON document of an item, or None."""
    item = get_item(pk, sk, consistent=consistent)
    return body_of(item) if item and "body" in item else None


def get_item(pk: str, sk: str, *, consistent: bool = False) -> dict[str, Any] | None:
    """An item with its attributes, or None."""
    item: dict[str, Any] | None = _call("get_item", Key=key(pk, sk), ConsistentRead=consistent).get("Item")
    return item


def update(pk: str, sk: str, expression: str, values: dict[str, Any], condition: str | None = None) -> dict[str, Any]:
    """Run an update expression (`#body` is the attribute `body`) and return the new item; may raise ConditionFailed."""
    arguments: dict[str, Any] = {"UpdateExpression": expression}
    if values:
        arguments["ExpressionAttributeValues"] = values
    if "#body" in expression + (condition or ""):
        arguments["ExpressionAttributeNames"] = {"#body": "body"}
    if condition:
        arguments["ConditionExpression"] = condition
    result: dict[str, Any] = _call("update_item", Key=key(pk, sk), ReturnValues="ALL_NEW", **arguments)["Attributes"]
    return result


def query(
    pk: str,
    prefix: str = "",
    *,
    start: str = "",
    newest_first: bool = False,
    limit: int | None = None,
    consistent: bool = False,
) -> Iterator[dict[str, Any]]:
    """Items whose sort key begins with `prefix`, or is `start` or later, at most `limit`, page by page."""
    values: dict[str, Any] = {":pk": {"S": pk}}
    condition = "pk = :pk"
    if start:
        condition += " AND sk >= :sk"
        values[":sk"] = {"S": start}
    if prefix:
        condition += " AND begins_with(sk, :sk)"
        values[":sk"] = {"S": prefix}
    arguments: dict[str, Any] = {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": not newest_first,
        "ConsistentRead": consistent,
    }
    left = limit
    while True:
        page = _call("query", **arguments, **({"Limit": left} if left is not None else {}))
        yield from page["Items"]
        if left is not None:
            left -= len(page["Items"])
        if "LastEvaluatedKey" not in page or left == 0:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def delete(pk: str, sk: str) -> None:
    """Remove an item; removing what is not there is fine."""
    _call("delete_item", Key=key(pk, sk))


def delete_partition(pk: str) -> None:
    """Remove every item of a partition; again after a crash removes what is left."""
    requests = [{"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}} for item in query(pk)]
    for start in range(0, len(requests), BATCH_ITEMS):
        pending = {settings().table: requests[start : start + BATCH_ITEMS]}
        while pending:
            # What a throttled table did not take comes back, to be sent again.
            pending = client("dynamodb").batch_write_item(RequestItems=pending).get("UnprocessedItems", {})
