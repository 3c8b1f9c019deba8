"""The names that an audit looks for in a user's file, first one first. No torch in here."""

from __future__ import annotations

MODEL = ("build_model", "make_model", "create_model", "get_model", "model", "net")
TRAIN_LOADER = (
    "train_loader", "train_dataloader", "train_dl", "train_loader_fn", "loader", "dataloader",
    "train_dataset", "train_set", "train_data",
)
VAL_LOADER = (
    "val_loader", "val_dataloader", "valid_loader", "validation_loader", "test_loader",
    "test_dataloader", "val_dataset", "val_set", "val_data", "valid_dataset", "valid_set",
    "validation_dataset", "test_dataset", "test_set", "test_data",
)
LOSS = ("loss_fn", "criterion", "loss_function", "loss")
STEP = ("training_step",)
OPTIMIZER = ("optimizer", "make_optimizer", "build_optimizer", "configure_optimizers", "opt")
SCHEDULER = ("scheduler", "lr_scheduler")
