"""Arrow frames: an upload in; checked, cleaned, masked, profiled, split Parquet, and a report of it, out.

Flow: read (files → batches of strings) → scan (clean, profile) → decide → transform (mask, types, digests) → settle
→ bucket (copies, splits) → finish → write. Record batches are the one interface; nothing here knows where files
came from, or which engine runs the steps: one machine (`prepare`), functions (`sharded`) or Spark (`spark`).
"""

import os

# Arrow's allocator keeps what is freed unless told so before Arrow is loaded; memory here is what a function pays for.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")
