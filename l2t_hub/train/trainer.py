"""TRL's SFTTrainer over rows that are ready: it neither tokenises, packs, truncates nor shuffles them, reads them in
the recipe's order, computes nothing but the loss, and writes checkpoints that are complete or not there.
"""

import json
import math
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import PrinterCallback, Qwen2ForCausalLM, Trainer, TrainerCallback, TrainerControl
from trl import SFTConfig, SFTTrainer

from l2t_hub.artifacts import CHECKPOINTS
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.train.batch_layout import BatchLayout
from l2t_hub.train.loss import IGNORED, set_objective
from l2t_hub.train.packed_data import Collator, PackOrder
from l2t_hub.train.run_directory import PARTIAL, STATE, drop_old_checkpoints, is_main_process
from l2t_hub.train.training_errors import disk_errors
from l2t_hub.train.training_log import Clock, TrainingLog


class PackTrainer(SFTTrainer):  # type: ignore[misc]
    """Trains a model on packed rows. `journal` gets the records, `clock` the time, `predicted` the tokens learnt."""

    control: TrainerControl

    def __init__(
        self,
        recipe: Recipe,
        model: Qwen2ForCausalLM,
        rows: datasets.Dataset,
        validation: datasets.Dataset | None,
        tokenizer: Any,
        batches: BatchLayout,
        out: Path,
        journal: TrainingLog,
        resumed: bool,
    ) -> None:
        self.recipe, self.batches, self.out, self.journal = recipe, batches, out, journal
        self.clock = Clock()
        self.predicted = torch.zeros((), dtype=torch.int64)
        self._window = (0.0, 0)
        self._saved: dict[str, Any] | None = None
        super().__init__(
            model=model,
            args=_arguments(recipe, batches, out, validation is not None, resumed),
            data_collator=Collator(recipe.train.attention, recipe.train.loss_on_padding),
            train_dataset=rows,
            eval_dataset=validation,
            processing_class=tokenizer,
            callbacks=[_Pace(self)],
        )
        self.remove_callback(PrinterCallback)
        if self.args.world_size != batches.devices:
            raise UserError(
                f"{batches.devices} processes were started, but torch sees {self.args.world_size}",
                "Launch with `torchrun --nproc-per-node N -m l2t_hub.cli train ...`, one process per GPU.",
            )
        self.predicted = self.predicted.to(self.args.device)
        # Over the head that TRL has just put there.
        set_objective(self.model)

    def run(self, checkpoint: Path | None) -> None:
        """Train to the last step, from a checkpoint or from the start."""
        if checkpoint is not None:
            self._saved = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        self.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)

    # ---- what is computed

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Give the plain Trainer's loss: the model's own, without TRL's entropy and accuracy."""
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    def get_batch_samples(self, *args: Any) -> tuple[list[Any], Any]:
        """Count the tokens that are predicted, on the device, while the batches of a step are gathered."""
        batches, items = super().get_batch_samples(*args)
        if items is not None:
            self.predicted += items.to(self.predicted)
        return batches, items

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Lay the schedule out over `max_steps`, also where the run stops earlier."""
        return super().create_scheduler(self.recipe.train.max_steps, optimizer)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure the mean loss per predicted token over the whole validation split, shared among processes."""
        self.model.eval()
        size, world, device = self.args.per_device_train_batch_size, self.args.world_size, self.args.device
        total, count = 0.0, 0
        with self.clock.stopped(), torch.no_grad():
            for start in range(self.args.process_index * size, len(self.eval_dataset), world * size):
                stop = min(start + size, len(self.eval_dataset))
                batch = self.data_collator(self.eval_dataset.__getitems__(list(range(start, stop))))
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

    # ---- the order of the rows

    def _get_train_sampler(self, train_dataset: Any = None) -> PackOrder:
        return PackOrder(len(self.train_dataset), self.recipe.seed, self.batches.rows)

    # ---- what is said

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write a record of the step; transformers' summary at the end is left out."""
        if "loss" in logs or "eval_loss" in logs:
            step = self.state.global_step
            for name in ("loss", "eval_loss"):
                if not math.isfinite(logs.get(name, 0.0)):
                    raise self._diverged(
                        f"the {'validation ' if name == 'eval_loss' else ''}loss is {logs[name]}"
                    )
            tokens, seconds = step * self.batches.tokens_per_step, self.clock.read()
            record: dict[str, Any] = {"step": step}
            record |= {k: logs[k] for k in ("loss", "learning_rate", "grad_norm", "eval_loss") if k in logs}
            record["tokens"] = tokens
            if "loss" in logs:
                then, before = self._window
                record["tokens_per_second"] = round((tokens - before) / max(seconds - then, 1e-9), 1)
                self._window = (seconds, tokens)
            self.journal.write(record | {"seconds": round(seconds, 3)})
        self.control = self.callback_handler.on_log(self.args, self.state, self.control, logs)

    def _diverged(self, what: str) -> UserError:
        return UserError(
            f"training diverged: at step {self.state.global_step} {what}",
            f"Lower `train.learning_rate` (now {self.recipe.train.learning_rate:g}) or lengthen "
            f"`train.warmup_steps`, and train into another --out; earlier checkpoints: {self.out / CHECKPOINTS}.",
        )

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write no card: TRL's calls a model trained from scratch fine-tuned."""

    def _send_telemetry(self) -> None:
        """Send nothing anywhere."""

    # ---- checkpoints

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.out / CHECKPOINTS / PARTIAL)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint beside the others and give it its name when it is complete."""
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.model.parameters()):
            raise self._diverged("a weight is no longer finite")
        name = f"checkpoint-{self.state.global_step}"
        staged = Path(self._get_output_dir(trial)) / name
        with self.clock.stopped(), disk_errors(staged.parent):
            super()._save_checkpoint(model, trial)
            unlogged = float(self.accelerator.gather(self._tr_loss).mean())
            if is_main_process():
                (staged / STATE).write_text(json.dumps(self._state(unlogged)), encoding="utf-8")
            self.accelerator.wait_for_everyone()
            if is_main_process():
                staged.replace(self.out / CHECKPOINTS / name)
                drop_old_checkpoints(self.out, self.recipe.train.save_total_limit)
            self.accelerator.wait_for_everyone()

    def _state(self, unlogged: float) -> dict[str, Any]:
        """What transformers does not save: the losses since the last record, the time, the tokens predicted."""
        return {
            "unlogged_loss": unlogged,
            "logged_step": self._globalstep_last_logged,
            "seconds": self.clock.read(),
            "window": self._window,
            "predicted_tokens": int(self.predicted),
            "precision": "bf16" if self.model.dtype == torch.bfloat16 else "fp32",
        }

    def restore(self) -> None:
        """Take up what `_state` saved, after transformers has set its sums to zero."""
        if self._saved is not None:
            self._tr_loss += self._saved["unlogged_loss"]
            self._globalstep_last_logged = self._saved["logged_step"]
            self.clock.seconds = self._saved["seconds"]
            self._window = (self._saved["window"][0], self._saved["window"][1])
            self.predicted.fill_(self._saved["predicted_tokens"])


class _Pace(TrainerCallback):
    """Takes up a resumed run's state, starts the clock, moves the bar, and has the last steps logged too."""

    def __init__(self, trainer: PackTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # A checkpoint brings the intervals it was written with; the recipe's of today count.
        state.logging_steps, state.eval_steps, state.save_steps = (
            args.logging_steps,
            args.eval_steps,
            args.save_steps,
        )
        self.trainer.restore()
        self.trainer.clock.run()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.trainer.journal.go_to(state.global_step)
        if state.global_step >= state.max_steps:
            control.should_log = True


def _arguments(recipe: Recipe, batches: BatchLayout, out: Path, evaluates: bool, resumed: bool) -> SFTConfig:
    """The recipe in transformers' terms. TRL's defaults of bf16 autocast and checkpointed activations are off.

    Weight decay falls, as transformers has it, on everything but biases and norms: on the embeddings too.
    """
    train = recipe.train
    return SFTConfig(
        output_dir=str(out / CHECKPOINTS),
        max_steps=batches.steps,
        per_device_train_batch_size=batches.per_device,
        gradient_accumulation_steps=batches.accumulation,
        learning_rate=train.learning_rate,
        lr_scheduler_type="constant_with_warmup"
        if train.lr_scheduler_type == "constant"
        else train.lr_scheduler_type,
        warmup_steps=train.warmup_steps,
        weight_decay=train.weight_decay,
        adam_beta1=train.adam_beta1,
        adam_beta2=train.adam_beta2,
        max_grad_norm=train.max_grad_norm,
        activation_checkpointing=train.gradient_checkpointing,
        ddp_find_unused_parameters=False,
        use_cpu=not torch.accelerator.is_available(),
        bf16=False,  # the weights themselves are bf16 where the recipe says so
        seed=recipe.seed,
        logging_steps=train.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=train.eval_steps,
        eval_on_start=evaluates and not resumed,
        save_strategy="steps",
        save_steps=train.save_steps,
        save_total_limit=None,  # `drop_old_checkpoints` does it, after the new one is complete
        use_cache=True,  # of the saved configuration; the training forward never caches
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        disable_tqdm=True,
        report_to="none",
        push_to_hub=False,
    )
