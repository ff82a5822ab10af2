"""The training image: torch, one entry point (`python -m modelmill.training`), one module per step of a job.

| step | module |
|---|---|
| parameters and folders of a job | `job` |
| dataset version → rows in memory | `rows` |
| rows → fitted preprocessing and net | `families`, with `vocabulary`, `logistic`, `loop` |
| net → metrics | `evaluate` |
| net → ONNX, with the parity gate | `convert` |
| ONNX → int8, with the accuracy gate | `optimise` |
| everything → a model package | `package` |
"""
