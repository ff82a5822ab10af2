"""The application: routers in, one ASGI app out. It describes itself at `/v1/openapi.json`."""

from fastapi import FastAPI

from control_api import datasets, models, pipelines, uploads, versions
from control_api.errors import RESPONSES, add_handlers
from modelmill.core.version import VERSION

TAGS = [
    {"name": "datasets", "description": "Uploads and the immutable versions that they became."},
    {"name": "pipelines", "description": "Runs of the life cycle: start again, follow, cancel."},
    {"name": "models", "description": "Registered versions and the route that traffic takes."},
]

app = FastAPI(
    title="modelmill control API",
    version=VERSION,
    openapi_url="/v1/openapi.json",
    docs_url=None,
    redoc_url=None,
    # Relative to the document itself, so that it is right for every stage and host.
    servers=[{"url": ".."}],
    openapi_tags=TAGS,
    redirect_slashes=False,
    responses=RESPONSES,
)
add_handlers(app)
for router in (datasets.router, uploads.router, versions.router, pipelines.router, models.router):
    app.include_router(router, prefix="/v1")
