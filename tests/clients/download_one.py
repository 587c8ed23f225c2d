"""Download a repo in a process of its own with the real clients: prints where it is as JSON, fails like `l2t`."""

import json
import sys

from l2t_hub.errors import UserError
from l2t_hub.hub.download import resolve
from l2t_hub.hub.retry import RetryPolicy


def main() -> None:
    name, kind = sys.argv[1], sys.argv[2]
    try:
        directory, found = resolve(
            name,
            kind,
            policy=RetryPolicy(attempts=4, first_wait=0.05, longest_wait=0.4),
            say=lambda line: print(line, file=sys.stderr),
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    told = {"directory": str(directory)}
    if found:
        told |= {
            "revision": found.revision,
            "verified": found.verified,
            "skipped": found.skipped,
            "name": found.name,
        }
    if "--peak" in sys.argv:
        import resource

        told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
