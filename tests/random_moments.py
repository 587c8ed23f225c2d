"""Random moments for tests that kill processes: from a seed that is printed, and that L2T_TEST_SEED sets again."""

import os
import random

VARIABLE = "L2T_TEST_SEED"


def seeded() -> random.Random:
    """Return a generator with a new seed, or with the one in the environment, and print how to repeat it."""
    seed = int(os.environ.get(VARIABLE) or random.SystemRandom().getrandbits(32))
    print(f"To repeat these moments: {VARIABLE}={seed}")
    return random.Random(seed)
