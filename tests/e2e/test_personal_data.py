"""Personal data in a file: nowhere in what is stored of it, and without a say on what the endpoint answers."""

import csv
import io

import pyarrow.parquet

from tests.e2e.samples import reviews, to_csv
from tests.e2e.steps import Steps

SECRETS = (b"alice", b"13800138000")


def reviews_of_people() -> bytes:
    header, *rows = csv.reader(io.StringIO(reviews().decode()))
    people = [
        [f"{text} wrote alice{number}@example.com, 13800138000", mood, f"139{number:08}"]
        for number, (text, mood) in enumerate(rows)
    ]
    return to_csv([*header, "phone"], people)


def test_personal_data_is_masked_where_it_is_stored_and_where_it_is_served(steps: Steps) -> None:
    run = steps.run("people", reviews_of_people(), "people.csv")
    assert run["status"] == "SUCCEEDED", run["reason"]
    version = steps.get(f"/v1/datasets/people/versions/{run['dataset_version']}").json()
    assert version["masked"]["review"] == {"email": 240, "phone": 240}
    assert "masked" in {warning["code"] for warning in version["warnings"]}
    s3 = steps.aws("s3")
    found = 0
    for bucket in (steps.cloud["data_bucket"], steps.cloud["models_bucket"]):
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            data = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            if entry["Key"].endswith(".parquet"):
                data = str(pyarrow.parquet.read_table(io.BytesIO(data)).to_pydict()).encode()
            found += entry["Key"].startswith("default/datasets/people/")
            assert not [secret for secret in SECRETS if secret in data], entry["Key"]
    assert found >= 7
    texts = [
        f"lovely and superb wrote {person}" for person in ("bob@example.org, 13711112222", "x.y@z.com, 18600000000")
    ]
    first, second = steps.predict("people", *({"review": text} for text in texts))["predictions"]
    assert first == second
    assert first["label"] == "good"
