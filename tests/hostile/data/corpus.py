"""The corpus of nasty uploads: name → case."""

from tests.hostile.data import corpus_packed, corpus_rows, corpus_text, corpus_uploads
from tests.hostile.data.cases import Cases

CASES: Cases = corpus_text.CASES | corpus_rows.CASES | corpus_packed.CASES | corpus_uploads.CASES
