"""What the fit probe declares; losses are in units of the way from the uninformed loss to zero."""

from __future__ import annotations

from auditor.observation import Quantity

_WAY = "of the way from the uninformed loss to the floor"

_ON_VALIDATION: tuple[Quantity, ...] = (
    Quantity("val_rise", "share", f"rise of the validation loss from its minimum, {_WAY}"),
    Quantity("val_rise_z", "", "that rise over its standard error, paired by sample"),
    Quantity("val_stale_evaluations", "", "evaluations since the validation loss was smallest"),
    Quantity("val_late_fall", "share", f"fall of the validation loss in the last third, {_WAY}"),
    Quantity("fit_gap", "share", f"validation less training loss at the end, {_WAY}"),
    Quantity("fit_gap_nats", "nats", "the same gap as it is, for likelihoods of classes; "
             "infinite for other losses"),
    Quantity("fit_gap_z", "", "that gap over its standard error"),
    Quantity("fit_gap_at_best", "share", "the gap where the validation loss was smallest"),
    Quantity("fit_best_step", "step", "step with the smallest validation loss"),
    Quantity("fit_val_loss", "loss", "validation loss at the end"),
    Quantity("fit_best_val_loss", "loss", "smallest validation loss"),
    Quantity("early_val_excess", "share", f"validation less training loss within the first "
             f"epoch, {_WAY}"),
    Quantity("early_val_excess_z", "", "that excess over its standard error"),
    Quantity("fit_val_score", "share", "accuracy or R2 on validation samples at the end"),
    Quantity("neighbours_asked", "", "nearest neighbours can be asked about such inputs and "
             "targets", kind="flag"),
    Quantity("neighbours_lead", "share", "score of nearest neighbours less that of the model; not "
             "a number where they cannot be asked"),
    Quantity("neighbours_score", "share", "score of the five nearest neighbours"),
)

QUANTITIES: tuple[Quantity, ...] = (
    Quantity("fit_scale_known", "", "the loss of an uninformed answer is known; else the first "
             "loss stands for it", kind="flag"),
    Quantity("fit_steps", "steps", "steps of the run"),
    Quantity("fit_epochs", "epochs", "passes over the training data that were read"),
    Quantity("fit_train_loss", "loss", "training loss at the end, in eval mode; of a "
             "summed loss its mean"),
    Quantity("fit_train_score", "share", "accuracy or R2 on training samples at the end"),
    Quantity("fit_level", "share", "training loss at the end; 1 is the uninformed loss, 0 the "
             "floor"),
    Quantity("fit_late_fall", "share", f"fall of the training loss in the last third, {_WAY}"),
    Quantity("decay_gain", "share", "how much lower the training loss gets where the run ends in a "
             "cosine decay instead of at a constant rate, of what is left above the floor"),
    Quantity("decay_gain_z", "", "that gain over its standard error, paired by sample"),
    Quantity("eval_mode_excess", "share", "loss of training samples in eval mode less that in "
             f"training mode, same weights, {_WAY}; where it is notable, with running statistics "
             "that have caught up, if that is less"),
    Quantity("eval_mode_excess_z", "", "that excess over its standard error, paired by sample"),
    Quantity("hard_gradient_share", "share", "part of the gradient at the output that the "
             "hardest tenth of the samples makes"),
    Quantity("hardest_gradient_share", "share", "part that the hardest hundredth makes"),
    *_ON_VALIDATION,
)
VALIDATION: tuple[str, ...] = tuple(quantity.name for quantity in _ON_VALIDATION)
