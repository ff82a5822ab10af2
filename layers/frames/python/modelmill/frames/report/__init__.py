"""The data report: a sample of the used rows in; statistics (JSON values) and one HTML page for people out.

`sample.py` chooses rows, `stats.py` and `association.py` compute, `page.py` draws with `charts.py` and `wording.py`.
"""
