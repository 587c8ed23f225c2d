"""Run one release with short waits, for tests. Prints the Release as JSON; exits like `l2t`."""

import argparse
import json
import sys

from l2t_hub.errors import UserError
from l2t_hub.hub.retry import RetryPolicy
from l2t_hub.publish.release import release


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("repo")
    for name in ("hub", "collection", "version", "note", "license"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--attempts", type=int, default=4)
    parser.add_argument("--batch-bytes", type=int, default=100_000)
    parser.add_argument("--peak", action="store_true")
    options = vars(parser.parse_args())
    peak = options.pop("peak")
    policy = RetryPolicy(
        attempts=options.pop("attempts"),
        first_wait=0.05,
        longest_wait=0.4,
        batch_bytes=options.pop("batch_bytes") or None,
    )
    try:
        released = release(
            **options, policy=policy, say=lambda line: print(line, file=sys.stderr, flush=True)
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    result = released.as_dict()
    if peak:
        import resource

        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
