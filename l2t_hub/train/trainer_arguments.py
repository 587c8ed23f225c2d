"""A recipe as arguments of the trainer: batches, schedule, optimizer, precision, and what is switched off."""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy
from trl import SFTConfig

from l2t_hub.artifacts import CHECKPOINTS
from l2t_hub.recipe import Recipe
from l2t_hub.records.training_record import Precision
from l2t_hub.train.batch_layout import BatchLayout
from l2t_hub.train.optimizer import Fp32MomentsAdamW

BF16_OPTIMIZER = "adamw, moments in fp32"


def fp32_moments(recipe: Recipe) -> tuple[type[Fp32MomentsAdamW], dict[str, Any]]:
    """Return the optimizer for bf16 weights with its arguments, as the trainer takes them."""
    train = recipe.train
    betas = (train.adam_beta1, train.adam_beta2)
    return Fp32MomentsAdamW, {"lr": train.learning_rate, "betas": betas}


def trainer_arguments(
    recipe: Recipe, batches: BatchLayout, precision: Precision, out: Path, evaluates: bool, resumed: bool
) -> SFTConfig:
    """Return the recipe as trainer arguments, without TRL's defaults of bf16 autocast and activation checkpointing.

    As usual in transformers, weight decay applies to everything but biases and norms, so to the embeddings too.
    """
    train = recipe.train
    arguments = SFTConfig(
        **_parallelism(recipe, batches),
        output_dir=str(out / CHECKPOINTS),
        max_steps=batches.steps,
        per_device_train_batch_size=batches.per_device,
        gradient_accumulation_steps=batches.accumulation,
        learning_rate=train.learning_rate,
        **_schedule(recipe),
        warmup_steps=train.warmup_steps,
        weight_decay=train.weight_decay,
        adam_beta1=train.adam_beta1,
        adam_beta2=train.adam_beta2,
        max_grad_norm=train.max_grad_norm,
        activation_checkpointing=train.gradient_checkpointing,
        ddp_find_unused_parameters=recipe.objective.curriculum != "none",  # heads that are not active
        use_cpu=not torch.accelerator.is_available(),
        # Autocast. The precision "bf16" does without: there the weights themselves are bf16.
        bf16=precision == "mixed",
        seed=recipe.seed,
        logging_steps=train.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=train.eval_steps,
        eval_on_start=evaluates and not resumed,
        save_strategy="steps",
        save_steps=train.save_steps,
        save_total_limit=None,  # `drop_old_checkpoints` deletes them after the new one is complete
        use_cache=True,  # for the saved configuration; the training forward never caches
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        disable_tqdm=True,
        report_to="none",
        push_to_hub=False,
    )
    if arguments.fsdp:
        # accelerate's own policy for mixed precision also sums the gradients and returns the loss in bf16.
        param_dtype = torch.bfloat16 if precision == "mixed" else None
        policy = MixedPrecisionPolicy(param_dtype, reduce_dtype=torch.float32)
        arguments.fsdp_plugin_args["mixed_precision_policy"] = policy
    return arguments


def _schedule(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments of the schedule, which has a warm-up in every case."""
    train = recipe.train
    kind = "constant_with_warmup" if train.lr_scheduler_type == "constant" else train.lr_scheduler_type
    falls = {"num_decay_steps": train.decay_steps, "decay_type": train.decay_type}
    return {"lr_scheduler_type": kind} | ({"lr_scheduler_kwargs": falls} if train.decay_steps else {})


def _parallelism(recipe: Recipe, batches: BatchLayout) -> dict[str, Any]:
    """Return the arguments that shard the model over the processes of a run, if the recipe says so."""
    if recipe.train.parallelism != "fsdp" or batches.devices == 1:
        return {}
    return {"fsdp": True, "fsdp_config": {"version": 2, "reshard_after_forward": True}}
