"""Arrow frames: a file of rows in; checked, cleaned, profiled, split Parquet out.

Flow: source (bytes) → readers (record batches of raw strings) → clean → profile → plan (core.data) → accounts →
split → version. Record batches are the one interface; nothing here knows where the file came from.
"""
