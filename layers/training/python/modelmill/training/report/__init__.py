"""The model report: an evaluation and what else a run knows in; one self-contained HTML page for people out.

No scripts, no outside files; it quotes no row but its number, the truth and the answer. It lies in the run's folder,
not in the package: latencies and the comparison with the serving model differ from run to run, packages must not.
"""

from modelmill.training.report.page import Facts, render

__all__ = ["Facts", "render"]
