"""Every quota and limit in one place, each with its source. Sizes in bytes, times in seconds. Checked 2026-11-24."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# AWS Lambda, "Lambda quotas".
LAMBDA_PAYLOAD_BYTES = 6 * MIB
LAMBDA_UNZIPPED_BYTES = 250 * MIB
LAMBDA_LAYERS = 5
# API Gateway, "Quotas for configuring and running a REST API".
API_BODY_BYTES = 10 * MIB
API_TIMEOUT_SECONDS = 29
# Step Functions, "Service quotas": input or output of a state.
STATE_PAYLOAD_BYTES = 256 * KIB
# S3, "Multipart upload limits".
SINGLE_PUT_BYTES = 5 * GIB
# S3, "Naming Amazon S3 objects".
OBJECT_KEY_BYTES = 1_024

# Ours.
UPLOAD_BYTES = 384 * MIB
"""Largest data file that one preprocess function reads: 400 MB of CSV take 2.0 GB of its 3 GB, and 20 s."""
UNPACKED_BYTES = UPLOAD_BYTES
"""Largest size of an upload after decompression: it is as large in memory, or a bomb."""
IMAGE_PIXELS = 50_000_000
"""Largest image: what phones take. Decoded it is 200 MB with four channels, and only one so large is at a time."""
MEDIA_BYTES = 64 * MIB
"""Largest image or sound file: it is one cell of a row."""
AUDIO_SECONDS, AUDIO_CHANNELS = 600, 8
AUDIO_LEAST_RATE, AUDIO_MOST_RATE = 1_000, 192_000
"""Samples a second."""
COLUMNS = 2_000
CELL_CHARACTERS = 1_000_000
MIN_ROWS = 20
"""Fewest usable rows that a pipeline trains on: below it no split can be evaluated."""
MIN_ROWS_PER_CLASS = 3
"""Rarest class that reaches all three splits. Rows of rarer classes are quarantined."""
MAX_CLASSES = 1_000
INSTANCES_PER_REQUEST = 1_000
TEXT_CHARACTERS = 1_000_000
PRESIGNED_SECONDS = 3_600
ROUTE_TTL_SECONDS = 5
NAME_CHARACTERS = 64
RECIPE_BYTES = 64 * KIB
