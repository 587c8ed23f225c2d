"""Run a verb on many repos in one process, under an audit hook that notes what a stranger's repo must not cause.

`python audited.py CONFIG.json` acts first on a good repo, so that everything is imported. Then it watches: files opened
for reading outside what is allowed, any write outside the folders for it, code that is run from a repo, connections
other than to the Hub, and other programs. A line of JSON per repo goes to the file `results`.
"""

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST = 60  # seconds of wall clock; the limit on the seconds of work is the test's
MEMORY = 4 << 30  # what the process may allocate beside what it has after the good repo
WRITES = (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND) & ~os.O_RDONLY
CHANGES = {
    f"os.{name}": count
    for name, count in {
        "remove": 1, "rename": 2, "mkdir": 1, "rmdir": 1, "link": 2, "truncate": 1, "chmod": 1,
        "chown": 1, "utime": 1, "mkfifo": 1, "setxattr": 1,
    }.items()
}  # fmt: skip
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
STRANGE_MODULES = ("evil", "antigravity", "tasks", "dataset", "this")


class Auditor:
    """Notes what happens while it is armed. `read`, `write` and `theirs` are folders; `port` is the Hub's."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.read = tuple(map(os.path.realpath, config["read"]))
        self.write = tuple(map(os.path.realpath, config["write"]))
        self.theirs = tuple(map(os.path.realpath, config["theirs"]))
        self.port: int | None = config["port"]
        self.seen: list[str] | None = None
        self.mine = ""

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Handle an audit event."""
        if self.seen is None:
            return
        seen, self.seen = self.seen, None  # what happens below is not theirs
        try:
            if said := self._problem(event, args):
                seen.append(f"{event}: {said}")
        finally:
            self.seen = seen

    def _problem(self, event: str, args: tuple[Any, ...]) -> str | None:
        if event == "open":
            return self._opened(*args)
        if event == "os.symlink":  # a relative target starts at the link
            target, link = map(os.fsdecode, args[:2])
            place = self._not_below(link, self.write)
            return place or self._not_below(os.path.join(os.path.dirname(link), target), self.write)  # noqa: PTH118, PTH120
        if event in CHANGES:
            paths = [args[n] for n in range(CHANGES[event])]
            return next((said for path in paths if (said := self._not_below(path, self.write))), None)
        if event == "exec":
            return self._code(getattr(args[0], "co_filename", ""))
        if event == "import":
            known = args[0] in STRANGE_MODULES
            return str(args[0]) if known else self._code(args[1] or "")
        if event == "ctypes.dlopen":
            return self._code(args[0] or "")
        if event == "socket.connect":
            address = args[1]
            good = isinstance(address, str) or address[:2] == ("127.0.0.1", self.port)
            return None if good else str(address)
        if event == "socket.getaddrinfo":
            return None if args[0] in ("127.0.0.1", "localhost", None) else str(args[0])
        return str(args[0]) if event in PROGRAMS else None

    def _opened(self, path: Any, mode: str | None, flags: int) -> str | None:
        if isinstance(path, int):
            return None
        writes = any(letter in mode for letter in "wax+") if mode else bool(flags & WRITES)
        return self._not_below(path, self.write if writes else (*self.read, *self.write, self.mine))

    def _not_below(self, path: Any, folders: tuple[str, ...]) -> str | None:
        if isinstance(path, int) or path is None:
            return None
        real = os.path.realpath(os.fsdecode(path))
        return None if any(real == f or real.startswith(f.rstrip("/") + "/") for f in folders if f) else real

    def _code(self, file: Any) -> str | None:
        name = os.fsdecode(file) if file else ""
        real = os.path.realpath(name) if name and not name.startswith("<") else ""
        return real if real and self._not_below(real, self.theirs) is None else None


# -- verbs: each returns whether it reports success, and what it says ------------------------------------------------


def _verify(target: str, out: Path, config: dict[str, Any]) -> tuple[bool, str]:
    from l2t_hub.train.verify_model import verify_release

    report = verify_release(target, say=_quiet)
    return not report.problems, report.summary()


def _reproduce(target: str, out: Path, config: dict[str, Any]) -> tuple[bool, str]:
    from l2t_hub.dataset.progress import SilentReporter
    from l2t_hub.reproduce import reproduce

    data = config["data"] if config["kind"] == "model" else None
    report = reproduce(target, workers=1, progress=SilentReporter(), out=out, data=data)
    return report.equal, report.summary()


def _train(target: str, out: Path, config: dict[str, Any]) -> tuple[bool, str]:
    from tiny_release import tiny_recipe

    from l2t_hub.train import train

    recipe = tiny_recipe("good", source={"limit": 30}, validation={"near_duplicates": "keep"})
    return True, train(recipe, target, out).summary()


def _evaluate(target: str, out: Path, config: dict[str, Any]) -> tuple[bool, str]:
    from l2t_hub.evaluate import evaluate
    from l2t_hub.report.score_report import as_text, make_report

    results = evaluate([target], "probes", out / "scores.json", limit=2)
    return True, as_text("markdown", make_report([results], (), plots=False))


def _demo(target: str, out: Path, config: dict[str, Any]) -> tuple[bool, str]:
    from l2t_hub.demo.choice import display_names
    from l2t_hub.demo.model_pool import ModelPool, score_with
    from l2t_hub.demo.page_context import PageContext

    names = display_names([target])
    context = PageContext(names, ModelPool(names, memory=1 << 30))
    choice = context.resolve(next(iter(names)))
    scores = score_with(context.pool, choice, ["The cat sleeps.", "The cat sleep."])
    return True, f"{[score.bits for score in scores]}"


def _release(target: str, out: Path, config: dict[str, Any]) -> tuple[bool, str]:
    from l2t_hub.publish.release import release

    return True, release(target, f"me/{config['kind']}", dry_run=True, say=_quiet).summary()


def _quiet(line: str) -> None:
    pass


VERBS: dict[str, Callable[[str, Path, dict[str, Any]], tuple[bool, str]]] = {
    "verify": _verify,
    "reproduce": _reproduce,
    "train": _train,
    "eval": _evaluate,
    "demo": _demo,
    "release": _release,
}


def _hang(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer within {LONGEST} s")


def main() -> None:
    from l2t_hub.errors import UserError

    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    act, auditor = VERBS[config["verb"]], Auditor(config)
    out = Path(config["out"])
    good, said = act(config["good"], out / "good", config)
    assert good, f"the good repo: {said}"
    sys.addaudithook(auditor)
    signal.signal(signal.SIGALRM, _hang)
    size = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    with Path(config["results"]).open("w", encoding="utf-8") as results:
        for name, target in config["repos"].items():
            auditor.mine = os.path.realpath(target) if Path(target).is_dir() else ""
            seen: list[str] = []
            started, success, trace = time.process_time(), False, None
            signal.alarm(LONGEST)
            auditor.seen = seen
            try:
                success, message = act(target, out / name, config)
            except UserError as error:
                message = str(error)
            except BaseException as error:
                message, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
            auditor.seen = None
            signal.alarm(0)
            line = {
                "name": name,
                "success": success,
                "message": message,
                "trace": trace,
                "seen": sorted(set(seen)),
                "seconds": time.process_time() - started,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
            }
            results.write(json.dumps(line) + "\n")
            results.flush()


if __name__ == "__main__":
    main()
