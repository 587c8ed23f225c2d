"""One release in a process of its own, with waits short enough for tests: prints the Release as JSON, fails like `l2t`."""

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
    for name in ("hub", "collection", "version", "note"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--attempts", type=int, default=4)
    parser.add_argument("--batch-bytes", type=int, default=100_000)
    parser.add_argument("--peak", action="store_true")
    asked = vars(parser.parse_args())
    peak = asked.pop("peak")
    policy = RetryPolicy(
        attempts=asked.pop("attempts"),
        first_wait=0.05,
        longest_wait=0.4,
        batch_bytes=asked.pop("batch_bytes") or None,
    )
    try:
        made = release(**asked, policy=policy, say=lambda line: print(line, file=sys.stderr, flush=True))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    told = made.as_dict()
    if peak:
        import resource

        told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
