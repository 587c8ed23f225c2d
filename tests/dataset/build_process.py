"""Run one build in this process, and optionally kill it (SIGKILL) when it renames its n-th file or folder.

Renames are the moments at which a build changes what readers see.
Usage: build_process.py RECIPE.json OUT WORKERS [N]
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import LineReporter
from l2t_hub.errors import UserError
from l2t_hub.recipe import recipe_from_tree


def kill_at(moment: int) -> None:
    count = 0

    def counted(original: Any) -> Any:
        def method(self: Path, target: Any) -> Any:
            nonlocal count
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self, target)

        return method

    Path.rename = counted(Path.rename)  # type: ignore[method-assign]
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


def main() -> int:
    if len(sys.argv) > 4:
        kill_at(int(sys.argv[4]))
    recipe = recipe_from_tree(json.loads(Path(sys.argv[1]).read_text()))
    try:
        build(recipe, Path(sys.argv[2]), workers=int(sys.argv[3]), progress=LineReporter())
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
