"""Every quota and limit in one place, each with its source. Sizes in bytes, times in seconds. Checked 2026-11-24."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# AWS Lambda, "Lambda quotas".
LAMBDA_PAYLOAD_BYTES = 6 * MIB
LAMBDA_UNZIPPED_BYTES = 250 * MIB
LAMBDA_LAYERS = 5
LAMBDA_SECONDS = 900
LAMBDA_TMP_BYTES = 10 * GIB
# API Gateway, "Quotas for configuring and running a REST API".
API_BODY_BYTES = 10 * MIB
API_TIMEOUT_SECONDS = 29
# Step Functions, "Service quotas": input or output of a state.
STATE_PAYLOAD_BYTES = 256 * KIB
# S3, "Multipart upload limits".
SINGLE_PUT_BYTES = 5 * GIB
MULTIPART_PARTS = 10_000
# S3, "Naming Amazon S3 objects".
OBJECT_KEY_BYTES = 1_024

# Ours.
UPLOAD_BYTES = 1024 * GIB
"""Largest upload: Spark prepares it in some hours, and larger ones were never thought about."""
UNPACKED_BYTES = 4 * GIB
"""Largest size of a packed upload once unpacked: it must fit a function's disk, with all that is made of it."""
UNPACK_RATIO, UNPACK_FREE_BYTES = 250, 64 * MIB
"""Largest ratio of unpacked to packed bytes, once so much is unpacked: deflate makes 1,032 of 1, tables 3 to 50."""
ARCHIVE_ENTRIES = 100_000
ARCHIVE_DIRECTORY_BYTES = 16 * MIB
"""Largest directory of a zip archive, which is held in memory: 100,000 entries with paths of 100 characters."""
TABLES = 1_000
"""Most tables in an upload."""
FILE_NAME_BYTES, PATH_BYTES = 255, 1_024
"""NAME_MAX of Linux, and the length of an S3 key: longer names in archives are left out."""
WORKBOOK_SECONDS, WORKBOOK_MEMORY_BYTES = 30, 900 * MIB
"""What converting an Excel workbook may take: a sheet of 1,048,576 rows (the most) by 6 columns: 8 s and 600 MB."""
IMAGE_PIXELS = 50_000_000
"""Largest image: what phones take. Decoding takes up to 8 bytes a pixel, of WebP 16: it may have half as many."""
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
UPLOAD_FILES = 10_000
"""Files of one upload: their list is one request and one answer of the API."""
MARKER_BYTES = 8 * MIB
MULTIPART_BYTES = 64 * MIB
"""A larger file is sent in parts, which can be resumed."""
PART_BYTES = 16 * MIB
"""Of a part, unless there would be more than MULTIPART_PARTS."""
LINKS_PER_REQUEST = 1_000
LAMBDA_DATA_BYTES = 1 * GIB
"""Most data, unpacked, that one function prepares: 400 MB of CSV take 20 s, so there is time to spare."""
FETCH_BYTES = 2 * GIB
"""Largest upload that a function brings to its disk: with all that is made of it, it is up to five times as large."""
MAP_DATA_BYTES = 20 * GIB
"""Most data that functions prepare side by side. The first of them reads all text twice, to check its encoding and to
find where rows end: at 100 MB a second, about what one stream from S3 gives, that is half of LAMBDA_SECONDS."""
QUARANTINE_BYTES = 5 * GIB
"""Largest refused file that is copied beside its reason, for which conclude has five minutes."""
LEAVE_ONE_OUT_ROWS = 1_000
"""Each row is a model to train."""
TRAINING_JOBS = 50
"""Training jobs of one run (candidates, and those that share the trials of a search): how each ended must fit into one
state of the workflow, with 2,000 characters of its cause."""
