"""What the data probe declares."""

from __future__ import annotations

from auditor.observation import Quantity

_ON_VALIDATION: tuple[Quantity, ...] = (
    Quantity("leaked_share", "share", "validation samples that also stand in the training set"),
    Quantity("leaked_share_low", "share", "lower end of its 95 % interval"),
    Quantity("leaked_share_high", "share", "upper end of its 95 % interval"),
    Quantity("leaked_samples", "", "validation samples found in the training samples"),
    Quantity("leaked_examples", "", "their positions in the validation set", kind="text"),
    Quantity("input_shift", "stds", "difference of the typical feature's means, train to "
             "validation, beyond sampling error"),
    Quantity("input_rescaling", "ratio", "ratio of the typical feature's standard deviations, "
             "beyond sampling error"),
    Quantity("some_input_rescaling", "ratio", "what that ratio is for a quarter of the features "
             "and for three at least"),
    Quantity("input_shift_direction", "", "the validation values are larger or smaller",
             kind="text"),
    Quantity("label_distance", "share", "total variation distance of the label shares, beyond "
             "sampling error"),
)
QUANTITIES: tuple[Quantity, ...] = (
    Quantity("data_samples", "", "training samples that were read"),
    Quantity("labelled_samples", "", "those of them that have a label"),
    Quantity("nonfinite_values", "", "NaN and infinite values in inputs and targets"),
    Quantity("nonfinite_where", "", "where most of them are", kind="text"),
    Quantity("nonfinite_harms", "", "they make the loss or a gradient non-finite", kind="flag"),
    Quantity("input_size", "", "root mean square of the largest input feature, tails pulled in"),
    Quantity("input_std", "", "largest standard deviation of an input feature, tails pulled in"),
    Quantity("input_range", "", "largest difference between two values of an input feature"),
    Quantity("input_spread", "ratio", "largest over smallest scale of the input features"),
    Quantity("input_feature", "", "the largest feature in words", kind="text"),
    Quantity("standardising_code", "", "code that standardises the inputs", kind="text"),
    Quantity("constant_share", "share", "input elements that are the same in all samples"),
    Quantity("constant_columns", "", "columns of the table that never vary"),
    Quantity("constant_names", "", "their numbers", kind="text"),
    Quantity("input_condition", "ratio", "condition number of the inputs' correlation matrix"),
    Quantity("input_components", "", "principal components that hold 99 % of the variance"),
    Quantity("invalid_target_share", "share", "targets that the loss is not defined for"),
    Quantity("invalid_target_problem", "", "what is wrong with them", kind="text"),
    Quantity("invalid_target_loss", "", "the loss that gets them", kind="text"),
    Quantity("invalid_target_code", "", "the conversion as code", kind="text"),
    Quantity("order_p", "", "p-value of equal batches in a permutation test of the order"),
    Quantity("order_explained", "share", "variance of the target between batches, beyond chance"),
    Quantity("order_drawing", "", "how the loader draws its samples", kind="text"),
    Quantity("rarest_class_evenness", "share",
             "share of the rarest class, or of several together, over an equal share, at the upper "
             "end of its interval"),
    Quantity("rare_classes", "", "how many of the rarest classes that is of"),
    Quantity("rarest_class_share", "share", "share of the rarest class"),
    Quantity("rarest_class", "", "number of the rarest class"),
    Quantity("class_count", "", "classes seen"),
    Quantity("class_weights", "", "inverse frequencies of the classes", kind="text"),
    Quantity("classes_unseen", "", "classes that training never sees, of the validation data or "
             "of the outputs", kind="text"),
    Quantity("labels_start_at_one", "", "the outputs stand for a class 0 that is no label, and "
             "for all that are", kind="flag"),
    Quantity("duplicate_share", "share", "samples whose input equals that of an earlier one"),
    Quantity("conflict_share", "share", "samples whose input also stands with another label"),
    Quantity("duplicate_examples", "", "a few pairs of equal samples", kind="text"),
    *_ON_VALIDATION,
)
VALIDATION: tuple[str, ...] = tuple(quantity.name for quantity in _ON_VALIDATION)
