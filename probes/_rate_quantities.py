"""What the learning-rate probe can measure."""

from __future__ import annotations

from auditor.observation import Quantity

ENDING = ("loss_swing", "loss_reversals", "swing_to_batch_noise")
WARM_UP = (
    "lr_gap", "lr_gap_warm", "warmup_tried", "warmup_diverges", "blown_up_share", "first_jolt",
    "first_jolt_warm",
    "user_loss_after", "suggested_loss_after",
)
COMPARISON = (
    *WARM_UP, "lr_gap_least", "lr_gap_p", "lr_gap_to_noise", "lr_trials", "killed_share",
    "lr_speedup", "initial_trial_loss", "epoch_steps", "epoch_progress",
)

LEARNING_RATE: tuple[Quantity, ...] = (
    Quantity("user_lr", "", "the user's rate (peak, first parameter group)"),
    Quantity("suggested_lr", "",
             "the rate that won the race; half of it after one of fewer than 50 steps"),
    Quantity("lr_ratio", "times", "the user's rate over the suggested one"),
    Quantity("flat_lr_low", "", "lowest raced rate as good as the suggested one"),
    Quantity("flat_lr_high", "", "highest raced rate as good as the suggested one"),
    Quantity("stable_lr_low", "", "lowest rate at which the sweep's loss falls"),
    Quantity("stable_lr_high", "", "highest rate at which the sweep's loss stays below its start"),
    Quantity("lr_trial_steps", "steps", "length of a trial"),
    Quantity("growth_through_time", "decades",
             "growth of the gradient through a recurrence at the first weights; 0 without one"),
    Quantity("pretrained", "", "the model's weights are loaded, not drawn", kind="flag"),
    Quantity("warms_up", "", "the user's schedule has a warm-up", kind="flag"),
    Quantity("best_descent", "share",
             "how far the best rate falls below the best constant prediction; 0 where it does not"),
    Quantity("sweep_improves", "", "the sweep's loss falls by more than its noise", kind="flag"),
    Quantity("sweep_descent", "loss", "how far the sweep's loss falls below its start"),
    Quantity("lr_gap", "share",
             "how far the user's rate ends behind, relative to what the suggested one learns"),
    Quantity("lr_gap_least", "share", "the smallest such gap over the seeds"),
    Quantity("lr_gap_warm", "share",
             "the gap that a warm-up leaves; the gap itself where none was tried"),
    Quantity("warmup_tried", "", "a trial with a warm-up was called for", kind="flag"),
    Quantity("warmup_diverges", "", "the trial with a warm-up blew up, too", kind="flag"),
    Quantity("first_jolt", "share", "how far the loss rises above its start in the first half of "
             "the trial at the user's rate, of what could be learned"),
    Quantity("first_jolt_warm", "share", "the same with a warm-up; without one where none was "
             "tried"),
    Quantity("lr_gap_p", "", "paired t-test over the seeds that the user's rate ends higher"),
    Quantity("lr_gap_to_noise", "times",
             "difference of the two losses over the spread between seeds (ten steps at the user's "
             "rate); infinite where that was not measured"),
    Quantity("lr_trials", "", "pairs of trials"),
    Quantity("blown_up_share", "share", "trials at the user's rate that end above their start"),
    Quantity("killed_share", "share",
             "units of a layer that die at the user's rate and live at the suggested one"),
    Quantity("initial_trial_loss", "loss", "loss before the trials"),
    Quantity("user_loss_after", "loss", "loss after the trials at the user's rate"),
    Quantity("suggested_loss_after", "loss", "loss after the trials at the suggested rate"),
    Quantity("user_below_zero", "times", "how far the trial at the user's rate ends below zero, in "
             "sizes of the loss before it (of 1, if that is less)"),
    Quantity("best_below_zero", "times", "the same at the suggested rate"),
    Quantity("lr_speedup", "times", "how much sooner the suggested rate gets as far"),
    Quantity("epoch_steps", "steps", "an epoch, or a small training run if that is longer"),
    Quantity("epoch_progress", "share",
             "what the user's rate learns in that time, relative to a trial at the suggested rate; "
             "0 where it is not even as good as an uninformed model"),
    Quantity("loss_swing", "share",
             "spread of a fixed batch's loss from step to step, relative to what was learned"),
    Quantity("loss_reversals", "share", "steps at which that loss changes its direction"),
    Quantity("swing_to_batch_noise", "times", "that spread over the spread from batch to batch"),
)
