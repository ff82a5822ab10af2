"""The data report: a sample of the used rows in; statistics (JSON values) and one HTML page for people out.

`statistics(sample, plan, splits, classes, facts)` makes `used` of profile.json, `render(version, document)` the page of
version.json and profile.json: nothing is on the page that is not in one of the two. `stats.py`, `missing.py` and
`association.py` compute, `page.py` draws with `charts.py`, `wording.py` and the templates.

What the page looks for in profile.json; all but `file` and `used` may be absent:

- `file`: `Profile.as_dict()` of all rows; `used`: what `statistics` returns.
- `masked`: column → kind of personal data → how many were masked.
- `actions`: list of {column, action, count, examples: list of {before, after}} (examples may be absent).
- `facts`: column → {language, date, html, outliers: {low, high, count}}.
- `labels_unified`: spelling → the class that it became.
- `split`: {by, group, time, column, folds, seed}, as decided.
- `quarantine`: list of {row, reason, raw}, the first rows of each reason (`first_rows`).
- `examples`: list of rows (column → string or None), as they are stored: with masks.
- `media`: `MediaFacts.as_json()`, and `samples`: list of {label, name, picture}, a `thumbnail` or a `waveform`.
"""
