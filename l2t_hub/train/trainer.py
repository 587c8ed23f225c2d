"""TRL's SFTTrainer on packed rows: it uses the rows as they are, in the recipe's order, and computes only the loss.

A checkpoint gets its final name only when it is complete.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import PrinterCallback, Qwen2ForCausalLM, Trainer, TrainerCallback, TrainerControl

from l2t_hub.artifacts import CHECKPOINTS
from l2t_hub.errors import UserError
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.records.training_record import CheckpointState, Precision
from l2t_hub.text import counted
from l2t_hub.train.batch_layout import BatchLayout
from l2t_hub.train.checkpoints import PARTIAL, PREFIX, drop_old_checkpoints, hash_files, step_of
from l2t_hub.train.compute import flops_per_token, mean_flops_per_token
from l2t_hub.train.curriculum import active_heads
from l2t_hub.train.divergence import not_finite
from l2t_hub.train.full_state_trainer import FullStateTrainer, all_finite
from l2t_hub.train.hardware import utilisation
from l2t_hub.train.kernels import use_kernels
from l2t_hub.train.loss import use_sliced_loss
from l2t_hub.train.loss_paths import IGNORED
from l2t_hub.train.model_directory import RunSummary
from l2t_hub.train.multi_token import MultiTokenObjective
from l2t_hub.train.packed_data import Collator
from l2t_hub.train.prediction_heads import heads_of
from l2t_hub.train.row_order import EpochSampler
from l2t_hub.train.stop_request import StopRequest
from l2t_hub.train.streamed_rows import RowsMissingError, StreamedRows, StreamOrder
from l2t_hub.train.trainer_arguments import BF16_OPTIMIZER, fp32_moments, trainer_arguments
from l2t_hub.train.training_errors import checkpoint_errors
from l2t_hub.train.training_log import Record, StepClock, TrainingLog


class PackTrainer(FullStateTrainer):
    """Trains a model on packed rows in the given order, from `checkpoint` or from step 0."""

    control: TrainerControl

    def __init__(
        self,
        recipe: Recipe,
        model: Qwen2ForCausalLM,
        rows: datasets.Dataset | StreamedRows,
        order: EpochSampler | StreamOrder,
        validation: datasets.Dataset | None,
        tokenizer: Any,
        batches: BatchLayout,
        precision: Precision,
        out: Path,
        training_log: TrainingLog,
        checkpoint: Path | None = None,
    ) -> None:
        self.recipe, self.batches, self.out, self.training_log = recipe, batches, out, training_log
        self.order = order
        self.precision = precision
        self.checkpoint = checkpoint
        # Called in the first process with each checkpoint that is complete, before older ones are deleted.
        self.checkpoint_saved: Callable[[Path], None] = lambda checkpoint: None
        self.stop_request, self.stopped = StopRequest(), False
        self.clock = StepClock()
        self.vocab_size: int = model.config.vocab_size
        heads = heads_of(model)
        self.objective = MultiTokenObjective(heads) if heads is not None else None
        self.predicted_tokens = torch.zeros((), dtype=torch.int64)
        # Seconds and tokens at the last record with a loss, to compute the rate since then.
        self._last_record = (0.0, 0)
        super().__init__(
            model=model,
            args=trainer_arguments(
                recipe, batches, precision, out, validation is not None, checkpoint is not None
            ),
            data_collator=Collator.of(recipe.train),
            train_dataset=rows if isinstance(rows, datasets.Dataset) else _form(),
            eval_dataset=validation,
            processing_class=tokenizer,
            callbacks=[_StepCallback(self)],
            optimizer_cls_and_kwargs=fp32_moments(recipe) if precision == "bf16" else None,
        )
        self.train_dataset = rows  # SFTTrainer takes nothing but a Dataset
        if isinstance(rows, StreamedRows):
            rows.partitions.must_stop = lambda: self.stop_request.asked
        self.remove_callback(PrinterCallback)
        if self.args.world_size != batches.devices:
            raise UserError(
                f"the batches are for {counted(batches.devices, 'process')}, but torch sees {self.args.world_size}",
                "Start one process per GPU: `torchrun --nproc-per-node N -m l2t_hub.cli train ...`.",
            )
        self.predicted_tokens = self.predicted_tokens.to(self.args.device)
        # SFTTrainer has just replaced the model's forward; this replaces it again.
        use_sliced_loss(self.model, self.objective.loss if self.objective is not None else None)
        use_kernels(self.model, recipe)

    def run(self) -> None:
        """Train to the last step, or until a signal asks to stop, and then to the end of the step.

        Raises KeyboardInterrupt after such a stop, when the checkpoint is written.
        """
        with self.stop_request:
            try:
                self.train(
                    resume_from_checkpoint=str(self.checkpoint) if self.checkpoint is not None else None
                )
            except RowsMissingError as missing:
                self._save_last_step()
                raise missing.reason from None
        if self.stopped:
            raise KeyboardInterrupt

    def must_stop(self) -> bool:
        """Whether a signal has asked any process of the run to stop. All processes get the same answer."""
        return self.any_process(self.stop_request.asked)

    def sum_over_processes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over the processes of a run."""
        summed: torch.Tensor = self.accelerator.reduce(values, "sum") if self.args.world_size > 1 else values
        return summed

    def summary(self) -> RunSummary:
        """Return what the run did, for the training record."""
        seconds = self.clock.read()
        return RunSummary(
            batches=self.batches,
            rows=self.order.rows,
            validation_rows=len(self.eval_dataset or ()),
            predicted_tokens=int(self.predicted_tokens),
            seconds=seconds,
            mfu=self.utilisation(
                self.batches.rows * self.batches.sequence_length / max(seconds, 1e-9),
                mean_flops_per_token(self.recipe, self.vocab_size),
            ),
            precision=self.precision,
            optimizer=BF16_OPTIMIZER if self.precision == "bf16" else self.args.optim,
            resumed_from=step_of(self.checkpoint) if self.checkpoint is not None else None,
        )

    # ---- loss and evaluation

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the model's own loss, as the plain Trainer does, without TRL's entropy and accuracy."""
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    def get_batch_samples(self, *args: Any) -> tuple[list[Any], Any]:
        """Gather the batches of a step, and count on the device the tokens that they predict."""
        batches, items = super().get_batch_samples(*args)
        if items is not None:
            self.predicted_tokens += items.to(self.predicted_tokens)
        return batches, items

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Create a schedule over the recipe's `max_steps`, even if the run stops earlier."""
        return super().create_scheduler(self.recipe.train.max_steps, optimizer)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the mean loss in nats per predicted token over the whole validation split.

        The processes of a run share the rows. All compute the same number of batches, as sharded weights require:
        one that has no rows left computes the first row, which then does not count.
        """
        self.model.eval()
        size, world, device = self.args.per_device_train_batch_size, self.args.world_size, self.args.device
        total, count = 0.0, 0
        with self.clock.paused(), torch.no_grad():
            for first in range(0, len(self.eval_dataset), world * size):
                start = first + self.args.process_index * size
                own = list(range(start, min(start + size, len(self.eval_dataset))))
                batch = self.data_collator(self.eval_dataset.__getitems__(own or [0]))
                if not own:
                    batch["labels"].fill_(IGNORED)
                count += int((batch["labels"][:, 1:] != IGNORED).sum())
                inputs = {name: tensor.to(device) for name, tensor in batch.items()}
                total += float(self.model(**inputs, num_items_in_batch=1)["loss"])
            if world > 1:
                sums = self.accelerator.reduce(torch.tensor([total, float(count)], device=device), "sum")
                total, count = float(sums[0]), int(sums[1])
        metrics = {"eval_loss": total / max(count, 1)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler | StreamOrder:
        return self.order

    # ---- records

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Append a record of losses to the training log. Raises UserError if a loss is not finite.

        The summary that transformers logs at the end has no loss and is left out.
        """
        for name, loss in (("loss", logs.get("loss")), ("validation loss", logs.get("eval_loss"))):
            if loss is not None and not math.isfinite(loss):
                raise self._divergence(f"the {name} is {loss}")
        if "loss" in logs and self.objective is not None:
            logs |= self.objective.record(self.sum_over_processes)
        if "loss" in logs or "eval_loss" in logs:
            self.training_log.append(self._record(logs))
        self.control = self.callback_handler.on_log(self.args, self.state, self.control, logs)

    def _record(self, logs: dict[str, float]) -> Record:
        step, seconds = self.state.global_step, self.clock.read()
        tokens = step * self.batches.tokens_per_step
        record: Record = {"step": step}
        logged = ("loss", "learning_rate", "grad_norm", "eval_loss")
        # Losses are finite here; a norm may not be, and JSON has no such number.
        record |= {key: logs[key] for key in logged if key in logs and math.isfinite(logs[key])}
        record |= {key: logs[key] for key in ("head_losses", "active_heads") if key in logs}
        record["tokens"] = tokens
        if "loss" in logs:
            seconds_before, tokens_before = self._last_record
            elapsed = max(seconds - seconds_before, 1e-9)
            rate = (tokens - tokens_before) / elapsed
            record["tokens_per_second"] = round(rate, 1)
            flops = flops_per_token(self.recipe, self.vocab_size, int(logs.get("active_heads", 1)))
            if (mfu := self.utilisation(rate, flops)) is not None:
                record["mfu"] = round(mfu, 4)
            self._last_record = (seconds, tokens)
        return record | {"seconds": round(seconds, 3)}

    def utilisation(self, tokens_per_second: float, flops: float) -> float | None:
        """Return model FLOPs utilisation at a rate, None where the peak of the device is not known."""
        return utilisation(tokens_per_second, flops, self.precision, self.batches.devices)

    def _divergence(self, evidence: str) -> UserError:
        return not_finite(self.recipe, self.out, self.state.global_step, evidence)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write no card: TRL's card calls every model fine-tuned."""

    def _send_telemetry(self) -> None:
        """Send no telemetry."""

    # ---- checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.out / CHECKPOINTS / PARTIAL)

    def _save_last_step(self) -> None:
        """Save the last step that was finished. Only a single process can: several may be at different points."""
        step = self.state.global_step
        if self.args.world_size == 1 and step and not (self.out / CHECKPOINTS / f"{PREFIX}{step}").exists():
            self._save_checkpoint(self.model, None)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint into the staging directory and move it to its final name when it is complete.

        Raises UserError if a weight is not finite or the disk is full.
        """
        if self.any_process(not all_finite(self.model.parameters())):
            raise self._divergence("a weight is not finite")
        name = f"{PREFIX}{self.state.global_step}"
        staged = Path(self._get_output_dir(trial)) / name
        with self.clock.paused(), checkpoint_errors(staged.parent):
            super()._save_checkpoint(model, trial)
            unlogged_loss = float(self.accelerator.gather(self._tr_loss).mean())
            unlogged_heads = (
                self.objective.sums(self.sum_over_processes) if self.objective is not None else []
            )
            if is_main_process():
                self._state(unlogged_loss, unlogged_heads, hash_files(staged)).write(staged)
            self.accelerator.wait_for_everyone()
            if is_main_process():
                complete = staged.replace(self.out / CHECKPOINTS / name)
                self.checkpoint_saved(complete)
                drop_old_checkpoints(self.out, self.recipe.train.save_total_limit)
            self.accelerator.wait_for_everyone()

    def _state(
        self, unlogged_loss: float, unlogged_heads: list[tuple[float, float]], files: dict[str, str]
    ) -> CheckpointState:
        """Return the part of the state that transformers does not save."""
        return CheckpointState(
            unlogged_loss=unlogged_loss,
            unlogged_heads=unlogged_heads,
            logged_step=self._globalstep_last_logged,
            seconds=self.clock.read(),
            window=self._last_record,
            predicted_tokens=int(self.predicted_tokens),
            precision=self.precision,
            files=files,
            format=1,
        )

    def restore(self) -> None:
        """Load what `_state` saved in the checkpoint. transformers has set its own sums to zero before this."""
        if self.checkpoint is None:
            return
        saved = CheckpointState.read(self.checkpoint)
        self._tr_loss += saved.unlogged_loss
        if self.objective is not None:
            sums = saved.unlogged_heads if is_main_process() else [(0.0, 0.0) for _ in saved.unlogged_heads]
            self.objective.restore(sums, self.args.device)
        self._globalstep_last_logged = saved.logged_step
        self.clock.seconds = saved.seconds
        self._last_record = saved.window
        self.predicted_tokens.fill_(saved.predicted_tokens)


def _form() -> datasets.Dataset:
    """Return a dataset with the columns of rows, for SFTTrainer to look at."""
    return datasets.Dataset.from_dict({"input_ids": [[0]], "lengths": [[1]]})


class _StepCallback(TrainerCallback):
    """Restores a resumed run, starts the clock, moves the progress bar, logs the last steps, and heeds signals."""

    def __init__(self, trainer: PackTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # transformers restores these intervals from the checkpoint; those of the current recipe apply.
        state.logging_steps, state.eval_steps, state.save_steps = (
            args.logging_steps,
            args.eval_steps,
            args.save_steps,
        )
        self.trainer.restore()
        self.trainer.clock.start()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.trainer.objective is not None:
            self.trainer.objective.heads.active = active_heads(self.trainer.recipe, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.trainer.training_log.advance_to(state.global_step)
        if state.global_step >= state.max_steps:
            control.should_log = True
        elif self.trainer.must_stop():
            self.trainer.stopped = control.should_save = control.should_training_stop = True
