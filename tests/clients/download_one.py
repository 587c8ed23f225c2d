"""Download one repo with the real clients, for tests. Prints its directory as JSON; exits like `l2t`."""

import json
import sys

from l2t_hub.errors import UserError
from l2t_hub.hub.download import resolve
from l2t_hub.hub.retry import RetryPolicy


def main() -> None:
    name, kind = sys.argv[1], sys.argv[2]
    try:
        directory, download = resolve(
            name,
            kind,
            policy=RetryPolicy(attempts=4, first_wait=0.05, longest_wait=0.4),
            say=lambda line: print(line, file=sys.stderr),
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    result = {"directory": str(directory)}
    if download:
        result |= {
            "revision": download.revision,
            "verified": download.verified,
            "skipped": download.skipped,
            "name": download.name,
        }
    if "--peak" in sys.argv:
        import resource

        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
