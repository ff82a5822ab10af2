"""Which files of an installed library a Lambda needs: a path relative to the layer's root in, yes or no out.

What goes: tests, headers, type stubs, command-line scripts, the parts of big libraries that serving and reading never
import, and botocore's descriptions of services that modelmill does not call.
"""

import re

AWS_SERVICES = ("cloudwatch", "dynamodb", "s3", "stepfunctions")
"""The services of `modelmill.aws`; a test compares this list with its source."""

_DROPPED = (
    r"bin/.*",
    r"(.*/)?__pycache__/.*",
    r".*\.(pyi|pxd|pxi|pyx|pyc|h|hpp|a|cmake)",
    r"[^/]+\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|sboms/.*)",
    r"(.*/)?tests/.*",
    r"boto3/examples/.*",
    r"botocore/data/(?!(" + "|".join(AWS_SERVICES) + r")/)[^/]+/.*",
    r"numpy/(f2py|distutils|_pyinstaller)/.*",
    r"pyarrow/(include|includes|src)/.*",
    # Substrait's library stays: libarrow_python is linked against it.
    r"pyarrow/(libarrow_flight|libarrow_python_flight|libgandiva)\..*",
    r"pyarrow/(_flight|_substrait|gandiva)\.[^/]*so",
    # The same library under two more names; its users ask for libarrow_python.so.NUMBER.
    r"pyarrow/libarrow_python\.so(\.\d+\.\d+\.\d+)?",
    # Fonts, colour profiles, AVIF and windows: reading images needs none of them.
    r"PIL/_(avif|imagingcms|imagingft|imagingtk)\.[^/]*so",
    r"pillow\.libs/lib(avif|brotli|freetype|harfbuzz|lcms2|png)[^/]*",
    r"onnxruntime/(backend|datasets|quantization|tools|transformers)/.*",
)
RULES = re.compile("|".join(f"(?:{pattern})" for pattern in _DROPPED))


def is_needed(path: str) -> bool:
    """False for a file that the layer can do without; `path` is relative, with forward slashes."""
    return RULES.fullmatch(path) is None
