"""Readers: files of any kind in, record batches of strings out."""
