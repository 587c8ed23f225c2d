"""The bundled minimal pairs, read without l2t_hub's own reader."""

import json

from l2t_hub.evaluate.suites import PROBES

PAIRS: list[dict[str, str]] = [
    json.loads(line)
    for file in sorted((PROBES / "data").glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]
