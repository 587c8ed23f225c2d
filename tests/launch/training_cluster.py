"""A stand-in for the Slurm commands of a training: `sbatch` keeps what was submitted, and a test runs it.

`srun` starts the processes of a step and writes down their numbers, to which a test sends signals, as Slurm does. A
file `step` takes the place of the training. `scontrol requeue` leaves a file; `squeue` lists what is in `queue`.
"""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interrupted_process import wait_for

SBATCH = """\
#!{python}
import json, os, sys, time
from pathlib import Path
home = Path({home!r})
if (home / "hang").exists():
    time.sleep(60)
if (home / "refuse").exists():
    sys.exit((home / "refuse").read_text())
script = Path(sys.argv[-1]).read_text()
record = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "script": script}}
(home / "submitted.json").write_text(json.dumps(record))
with (home / "log").open("a") as log:
    print("submitted", file=log)
print((home / "answer").read_text() if (home / "answer").exists() else "17;here")
"""
SRUN = """\
#!/bin/bash
while [[ "$1" == -* ]]; do shift; done
if [ -x "{home}/step" ]; then exec "{home}/step" "$@"; fi
for ((n = 0; n < SLURM_NTASKS; n++)); do SLURM_PROCID=$n SLURM_LOCALID=$n "$@" & pids+=($!); done
echo "${{pids[@]}}" > "{home}/pids"
code=0
for pid in "${{pids[@]}}"; do wait "$pid"; ended=$?; ((ended > code)) && code=$ended; done
exit $code
"""
SCONTROL = """\
#!/bin/bash
if [ "$1" = requeue ]; then echo "$2" > "{home}/requeued"; else echo 127.0.0.1; fi
"""
SQUEUE = """\
#!/bin/bash
cat "{home}/queue" 2>/dev/null || {{ echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }}
"""


@dataclass(frozen=True)
class TrainingCluster:
    """The folder of the stand-in. Its `bin` goes on PATH."""

    home: Path

    @property
    def submitted(self) -> dict[str, Any]:
        """What sbatch got last: arguments, environment and script."""
        record: dict[str, Any] = json.loads((self.home / "submitted.json").read_text())
        return record

    def submissions(self) -> int:
        """How often something was submitted."""
        log = self.home / "log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def requeued(self) -> bool:
        """Whether the job has queued itself since this was last asked."""
        mark = self.home / "requeued"
        found = mark.exists()
        mark.unlink(missing_ok=True)
        return found

    def step(self, body: str) -> None:
        """Let this shell script take the place of the training."""
        write_program(self.home / "step", f"#!/bin/bash\n{body}\n")

    def run(self, when: Callable[[], object] | None = None) -> tuple[int, str]:
        """Run what was submitted, as Slurm would, and return exit code and output.

        As soon as `when` holds, the processes of the step get USR1.
        """
        script = self.home / "spooled.sh"
        script.write_text(self.submitted["script"])
        tasks = next(line for line in script.read_text().splitlines() if "ntasks-per-node" in line)
        environment = self.submitted["environment"] | {
            "SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "1", "SLURM_JOB_NODELIST": "here",
            "SLURM_NTASKS": tasks.rpartition("=")[2],
        }  # fmt: skip
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd="/",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            if when is not None:
                wait_for(when, process)
                for pid in (self.home / "pids").read_text().split():
                    os.kill(int(pid), signal.SIGUSR1)
            output, _ = process.communicate(timeout=300)
        finally:
            process.kill()
        return process.returncode, output


def write_program(path: Path, text: str) -> None:
    """Write a script that can be run."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def install(home: Path) -> TrainingCluster:
    """Write the commands into a folder."""
    (home / "bin").mkdir(parents=True)
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "scontrol": SCONTROL, "squeue": SQUEUE}.items():
        write_program(home / "bin" / name, text.format(home=str(home), python=sys.executable))
    return TrainingCluster(home)
