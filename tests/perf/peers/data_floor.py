"""The floor of the data phase: a CSV in, one Parquet file out; nothing is looked at. `stream` or `table` is how."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet


def main() -> None:
    """Read and write once."""
    how, source, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    parse = pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    target = folder / "rows.parquet"
    if how == "table":
        pa.parquet.write_table(pa.csv.read_csv(source, parse_options=parse), target, compression="zstd")
        return
    read = pa.csv.ReadOptions(block_size=8 << 20)
    reader = pa.csv.open_csv(source, parse_options=parse, read_options=read)
    with reader, pa.parquet.ParquetWriter(target, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


main()
