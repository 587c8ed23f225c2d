"""Checkpoints are sent to a Hub while training goes on: each becomes the revision `step-N` of one model repo.

Training only queues a checkpoint. A thread sends the queue, one checkpoint at a time, as a commit on the branch
`checkpoints` with the tag `step-N`, so a revision appears only when it is complete. `main` is left to `l2t release`.
A failure is said and stops nothing: the checkpoint stays in the queue until the next one, the end of the run, or the
next run of the same command.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from l2t_hub.artifacts import RELEASE_RECORD
from l2t_hub.errors import Interrupted, UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.failures import explain
from l2t_hub.hub.retry import RetryPolicy, Say, is_offline, is_transient, without_secrets
from l2t_hub.publish.checkpoint_queue import MAX_WAITING, PushQueue, staged_checkpoint
from l2t_hub.publish.release import silence_clients
from l2t_hub.publish.repository import RemoteRepo, describe_files
from l2t_hub.publish.stage import StagedRelease
from l2t_hub.publish.upload import Branch, upload
from l2t_hub.recipe import Recipe
from l2t_hub.records.release_record import ReleaseRecord
from l2t_hub.text import counted
from l2t_hub.train.checkpoints import CheckpointSaved, step_of
from l2t_hub.train.locate import DatasetLocation

BRANCH = "checkpoints"


@dataclass
class CheckpointPusher:
    """Sends the checkpoints of the run in `out` to a repo, every `every`-th one and the last.

    Checkpoints that were only saved because a signal stopped the run are not sent.
    """

    remote: RemoteRepo
    recipe: Recipe
    out: Path
    every: int = 1
    private: bool = False
    problem: str | None = None
    """Why the last attempt failed; None if there was none, or after a success."""
    _wake: threading.Event = field(default_factory=threading.Event)
    _closing: bool = False
    _muted: bool = False

    def __post_init__(self) -> None:
        self.queue = PushQueue(self.out)
        say, self.remote.say = self.remote.say, self._say
        self._print = say
        # A daemon: a command that is stopped ends at once, and what it was sending is sent by the next one.
        self._thread = threading.Thread(target=self._work, name="push", daemon=True)

    def start(self) -> None:
        """Sign in. What an earlier run has left is sent with the first checkpoint of this one.

        Raises UserError if the Hub refuses the token or the repo. A Hub that cannot be reached now may be later.
        """
        policy, self.remote.policy = self.remote.policy, replace(self.remote.policy, attempts=2)
        try:
            self._open()
        except Exception as error:
            if isinstance(error, UserError):
                raise
            if not (is_transient(error) or is_offline(error)):
                raise UserError(*explain(error, self.remote.endpoint.name, "write")) from None
            self._say(f"{self._explained(error)} Training goes on, and checkpoints wait.")
        self.remote.policy = policy
        self._thread.start()

    def saved(self, checkpoint: Path, dataset: DatasetLocation) -> None:
        """Queue a checkpoint that training has saved. Never raises, so that it cannot stop the training."""
        step, train = step_of(checkpoint), self.recipe.train
        if step % (train.save_steps * self.every) and step != (train.stop_after_steps or train.max_steps):
            return
        if len(self.queue.waiting()) >= MAX_WAITING:
            self._say(
                f"{checkpoint}: not queued for {self.remote.url}, because {MAX_WAITING} checkpoints wait already. "
                "If it is still there when the command is run again, it is sent then."
            )
        else:
            try:
                self.queue.add(checkpoint, dataset)
            except Exception as error:
                self._say(f"{checkpoint}: cannot be queued for {self.remote.url}: {error}")
        self._wake.set()

    def finish(self) -> None:
        """Wait until everything is sent. Raises UserError if something could not be, and Interrupted."""
        waiting = self.queue.waiting()
        if waiting:
            self._say(f"waiting: {counted(len(waiting), 'checkpoint')} still to be sent to {self.remote.url}")
        self._closing = True
        self._wake.set()
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.abandon()
            waiting = self.queue.waiting()
            raise Interrupted(
                f"{self.out}: the model is finished; {counted(len(waiting), 'checkpoint')} not on the Hub yet",
                "Rerun the command to send the rest.",
            ) from None
        left = self.queue.waiting()
        if left:
            raise UserError(
                f"{self.out}: the model is finished, but {counted(len(left), 'checkpoint')} could not be sent to "
                f"{self.remote.url} ({', '.join(path.name for path in left)}): {self.problem}",
                "Rerun the command to send what is left.",
            )

    def abandon(self) -> None:
        """Say nothing more: the command is about to end, and the next one sends what is left."""
        self._muted = True

    # ---- the thread

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing  # read after the clear, which would lose a later call
            try:
                self._send_all()
            except Exception as error:
                self.problem = self._explained(error)
                self._say(f"{self.problem} The checkpoints wait in {self.queue.folder}.")
            if closing:
                return

    def _send_all(self) -> None:
        opened = False
        for waiting in self.queue.waiting():
            if not opened:
                self._open()
                opened = True
            if waiting.name not in self.remote.tags():
                self._send(waiting)
            self.queue.remove(waiting)
            self.problem = None

    def _open(self) -> None:
        self.remote.sign_in()
        self.remote.create_if_missing(self.private)
        self.remote.create_branch(BRANCH)

    def _send(self, waiting: Path) -> None:
        staged = staged_checkpoint(waiting, self.remote.repo_id, self.remote.endpoint.token)
        self._refuse_other_run(staged)
        upload(self.remote, Branch(BRANCH, waiting.name), staged)
        message = f"checkpoint, run {staged.fingerprint}, contents {staged.digest}"
        if not self.remote.tag(waiting.name, self.remote.head(BRANCH), message):
            raise UserError(f"{self.remote.url}: another process has made the revision {waiting.name}")
        self._say(f"{waiting.name}: {describe_files(staged.files)} -> {self.remote.url}/tree/{waiting.name}")

    def _refuse_other_run(self, staged: StagedRelease) -> None:
        """Raise UserError if the branch has a checkpoint of another run: a curve over both would mean nothing."""
        if not any(tag.startswith("step-") for tag in self.remote.tags()):
            return
        record = ReleaseRecord.parse(self.remote.read(RELEASE_RECORD, BRANCH), RELEASE_RECORD)
        if record.fingerprint != staged.fingerprint:
            raise UserError(
                f"{self.remote.url} has checkpoints of another run (fingerprint {record.fingerprint[:12]}, now "
                f"{staged.fingerprint[:12]})",
                "Push to another repo.",
            )

    # ---- messages

    def _say(self, line: str) -> None:
        if not self._muted:
            self._print(without_secrets(line, self.remote.endpoint.token))

    def _explained(self, error: Exception) -> str:
        if isinstance(error, UserError):
            return " ".join(filter(None, (error.message + ".", error.hint)))
        message, remedy = explain(error, self.remote.endpoint.name, "write")
        return f"{message}. {remedy}".strip()


@contextmanager
def pushing(
    repo: str,
    recipe: Recipe,
    out: Path,
    endpoint: Endpoint,
    *,
    every: int = 1,
    private: bool = False,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> Iterator[CheckpointSaved]:
    """Yield what training calls with each checkpoint, and wait at the end until all of them are in `repo`.

    After an error or a signal nothing is waited for. Raises UserError before the block if the Hub refuses the token
    or the repo, and after it if a checkpoint could not be sent.
    """
    silence_clients()
    remote = RemoteRepo(endpoint, "model", repo, policy or RetryPolicy(), say)
    pusher = CheckpointPusher(remote, recipe, out, every, private)
    pusher.start()
    try:
        yield pusher.saved
    except BaseException:
        pusher.abandon()
        raise
    pusher.finish()
