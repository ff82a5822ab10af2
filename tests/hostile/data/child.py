"""The parent's side of `worker`: bytes in; what became of them, or that it took too long or died, out."""

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.hostile.data.cases import Upload

ROOT = Path(__file__).parents[3]
SECONDS = 30


class Child:
    """One process for many files; a new one after a hang or a death."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def prepare(self, content: Upload, name: str) -> dict[str, Any]:
        """What the data phase says of an upload; outcome `hang` after 30 s, `death` if the process ended."""
        files = []
        for number, (file, data) in enumerate(({name: content} if isinstance(content, bytes) else content).items()):
            path = self._folder / f"upload-{number}"
            path.write_bytes(data)
            files.append((str(path), file))
        process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(files) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], SECONDS)[0]:
            self.close()
            return {"outcome": "hang"}
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self.close()
            return {"outcome": "death", "message": f"exit status {code}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.data.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None
