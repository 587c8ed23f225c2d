"""A stand-in for Slurm's commands: `sbatch` runs the tasks of an array one after the other on this machine.

A test puts the folder of the commands on PATH. The script, the arguments and the exit codes of every job are kept.
Files in the folder say which tasks are lost, as if with their node, and how often `squeue` still lists a job.
"""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

SBATCH = """\
#!{python}
import json, os, re, subprocess, sys
from pathlib import Path

home = Path({home!r})
script = Path(sys.argv[-1]).read_text()
if (home / "refuse").exists():
    sys.exit("sbatch: error: invalid account or account/partition combination specified")
number = 1 + len(list(home.glob("job-*.json")))
options = dict(re.findall(r"^#SBATCH --([\\w-]+)=?(.*)$", script, re.MULTILINE))
first, last = map(int, options["array"].partition("%")[0].split("-"))
exported = dict(re.findall(r"(\\w+)=([^,\\s]*)", next(a for a in sys.argv if a.startswith("--export="))))
lost = json.loads((home / "lost").read_text()) if (home / "lost").exists() else []
codes = {{}}
for task in range(first, last + 1):
    if task in lost:
        continue
    environment = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_JOB_ID": str(number),
                   "SLURM_NODELIST": "here", "RUN_OFFSET": exported["RUN_OFFSET"]}}
    path = options["output"].replace("%A", str(number)).replace("%a", str(task))
    with open(path, "w") as out:
        command = ["bash", "-c", script]
        codes[task] = subprocess.run(command, env=environment, stdout=out, stderr=out).returncode
record = {{"options": options, "script": script, "arguments": sys.argv[1:-1], "codes": codes}}
(home / f"job-{{number}}.json").write_text(json.dumps(record))
print("Submitted batch job", number, "on cluster here")
"""
SRUN = '#!/bin/bash\nwhile [[ "$1" == -* ]]; do [[ "$1" == -n ]] && shift; shift; done\nexec "$@"\n'
SCONTROL = "#!/bin/bash\necho here\n"
SQUEUE = """\
#!/bin/bash
looks=$(cat "{home}/looks" 2>/dev/null || echo 0)
if (( looks > 0 )); then echo $((looks - 1)) > "{home}/looks"; echo "${{@: -1}}" | cut -d= -f2; exit 0; fi
echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1
"""


@dataclass(frozen=True)
class FakeSlurm:
    """The folder of the stand-in. Its `bin` goes on PATH."""

    home: Path

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    def jobs(self) -> list[dict[str, object]]:
        """Return the jobs submitted so far, in order."""
        files = sorted(self.home.glob("job-*.json"), key=lambda p: int(p.stem.removeprefix("job-")))
        return [json.loads(file.read_text()) for file in files]

    def lose(self, *tasks: int) -> None:
        """Let these tasks of later jobs end without having started."""
        (self.home / "lost").write_text(json.dumps(tasks))

    def show(self, looks: int) -> None:
        """Let the queue list jobs for this many calls of `squeue`."""
        (self.home / "looks").write_text(str(looks))

    def refuse(self) -> None:
        """Refuse every job."""
        (self.home / "refuse").touch()


def install(home: Path) -> FakeSlurm:
    """Write the commands into a folder."""
    slurm = FakeSlurm(home)
    slurm.bin.mkdir(parents=True)
    texts = {"sbatch": SBATCH, "srun": SRUN, "scontrol": SCONTROL, "squeue": SQUEUE}
    for name, text in texts.items():
        file = slurm.bin / name
        filled = text.format(home=str(home), python=sys.executable) if name in ("sbatch", "squeue") else text
        file.write_text(filled)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return slurm
