"""A large upload on a small scale: rows prepared into several buckets, then trained and packaged from all of them."""

import csv
import io
from pathlib import Path

from modelmill.aws import objects
from modelmill.core.data.mask import Pseudonyms
from modelmill.core.data.split import files_of
from modelmill.core.model.recipe import parse_recipe
from modelmill.frames.describe import Run, describe
from modelmill.frames.prepare import prepare_unpacked
from modelmill.frames.read.unpack import unpack
from modelmill.frames.steps import Grain
from modelmill.frames.write import write
from tests.unit.model.samples import measurements
from tests.unit.model.world import Cloud


def measured_csv(rows: int) -> str:
    cells, out = measurements(rows, 1), io.StringIO()
    writer = csv.writer(out)
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    return out.getvalue()


def test_a_version_of_several_buckets_is_said_to_be_so_and_trains(cloud: Cloud, tmp_path: Path) -> None:
    source, folder = tmp_path / "things.csv", tmp_path / "version"
    source.write_text(measured_csv(1_500), encoding="utf-8")
    folder.mkdir()
    (tmp_path / "unpacked").mkdir()
    files = unpack([(source, source.name)], tmp_path / "unpacked")
    recipe = parse_recipe({"split": {"folds": 3}})
    prepared = prepare_unpacked(files, recipe, Pseudonyms(b"k" * 32), tmp_path, folder, grain=Grain(1 << 12, 1 << 13))
    version, spec = describe(prepared, recipe, Run("r1", "default", "things", {}))
    write(prepared, version, folder)
    assert version.files == spec.files > 1
    rows = {path.name for path in folder.glob("*.parquet")}
    assert rows == {file for split in version.splits for file in files_of(split, version.files)}

    for path in folder.iterdir():
        objects.upload("data", spec.data_prefix + path.name, path)
    objects.put("models", "default/runs/r1/spec.json", spec.model_dump_json().encode())
    assert cloud.job("train", "r1", "linear") == 0
    assert cloud.job("package", "r1", "linear") == 0
    metrics = cloud.json("default/runs/r1/package.json")["metrics"]
    assert metrics["test_rows"] == version.splits["test"]
    assert metrics["accuracy"]["value"] > 0.75
