"""DynamoDB: the registry's records. One on-demand table; the tenant is in every partition key.

| record | pk | sk |
|---|---|---|
| pipeline run | `{tenant}#pipelines` | run id (begins with its time, so a query is newest first) |
| stage of a run | `{tenant}#pipeline#{run}` | `{position:02}#{stage}[#{candidate}]` |
| step of a study | `{tenant}#study#{run}#{study}` | `{number:08}` |
| dataset | `{tenant}#datasets` | name |
| dataset version | `{tenant}#dataset#{name}` | version |
| model (counter, route) | `{tenant}#models` | name |
| model version | `{tenant}#model#{name}` | `version#{number:08}` |
| package of a model | `{tenant}#model#{name}` | `package#{digest}` → number |
| route history | `{tenant}#model#{name}` | `route#{revision:08}` |
| traffic of a model | `{tenant}#traffic` | name |
| models to observe, of all tenants | `routed` | `{tenant}#{model}` |
| answered Idempotency-Key | `{tenant}#idempotency` | sha256 of the key |
| audit (append only) | `{tenant}#audit` | `{time}#{action}#{name}` |
| key of the pseudonyms | `{tenant}#mask` | `key` |
| API key | `key#{sha256 of the key}` | `key` |

`routed` is written by whoever moves a route, so that `observe` finds its models of all tenants with one query and
no scan. An item is `pk`, `sk`, `body` (JSON) and, where a condition needs it, scalar attributes beside `body`.
"""
