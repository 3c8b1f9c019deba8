"""The findings of the broken model in `sample_reports`."""

from __future__ import annotations

from dataclasses import replace

from auditor.finding import Evidence, Finding, Fix, TrialOutcome
from auditor.observation import Place

_OPTIMIZER = "optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)"
_LOADER = "train_loader = DataLoader(make_data(), batch_size=64, shuffle=False)"
_HEAD = "        self.head = nn.Sequential(nn.Linear(WIDTH, CLASSES), nn.Softmax(dim=1))"


def findings() -> tuple[Finding, ...]:
    """Return the causes, then what follows from them, then a note."""
    return (_dead_gate(), _softmax(), _rate(), _order(), _no_overfit(), _no_learning(), _note())


def _dead_gate() -> Finding:
    same = {"accuracy after 100 steps": 0.1}
    return Finding(
        rule="dying-relu", category="activation", severity="error", confidence="high",
        title="All 64 units of gate are dead: no gradient reaches the 13 layers before it",
        message="On 256 training samples the largest pre-activation of gate is -2.04, so "
                "relu(gate(x)) is 0 for 64 of 64 units (limit 0.5).",
        why="ReLU passes no gradient where its input is negative. The loss cannot reach stem or "
            "blocks.0 to blocks.11; their weights would never change.",
        layers=("gate",),
        place=Place("model.py", 18, 9, 18, 48, "        nn.init.constant_(self.gate.bias, -3.0)"),
        evidence=(
            Evidence("dead_share", 1.0, "share of units that put out zero on every sample",
                     "gate", ">", 0.5, "max_dead_share", "pack", "share"),
            Evidence("dead_samples", 256, "samples looked at", "gate", ">=", 64.0, "min_samples",
                     "pack"),
        ),
        consequences=("no-learning-at-any-rate", "cannot-overfit"),
        fixes=(
            Fix("Start the bias of gate at zero.",
                "- nn.init.constant_(self.gate.bias, -3.0)\n+ nn.init.zeros_(self.gate.bias)\n",
                remedy="zero-biases",
                trial=TrialOutcome("no-effect", "the other findings stand in its way", same, same)),
            Fix("Use a leaky ReLU, which cannot die.", "F.leaky_relu(self.gate(x), 0.01)\n",
                "Outputs change slightly for negative inputs."),
        ),
        references=("Lu et al. 2019, Dying ReLU and Initialization, arXiv:1903.06733",),
    )


def _softmax() -> Finding:
    return Finding(
        rule="double-softmax", category="objective", severity="error", confidence="high",
        title="Softmax is applied twice: the loss cannot fall below 1.46",
        message="Every output row sums to 1.000 (256 of 256 rows), and the loss is "
                "CrossEntropyLoss, which applies log-softmax itself.",
        why="With inputs in [0, 1] and 10 classes the smallest possible loss is "
            "ln(e + 9) - 1 = 1.461, and gradients shrink near it.",
        layers=("head.1",),
        place=Place("model.py", 19, 62, 19, 79, _HEAD),
        evidence=(
            Evidence("rows_that_sum_to_one", 1.0, "share of output rows that sum to one", "head.1",
                     ">", 0.95, "min_share", "command line", "share"),
            Evidence("overfit_loss", 1.4612, "lowest loss reached on 32 samples"),
        ),
        consequences=("cannot-overfit",),
        fixes=(Fix(
            "Return raw logits. Apply softmax only where you read out probabilities.",
            f"-{_HEAD}\n+        self.head = nn.Sequential(nn.Linear(WIDTH, CLASSES))\n",
            "Code that reads probabilities from the model has to call softmax.",
            "drop-softmax",
            TrialOutcome("helps", "", {"accuracy": [0.1, 0.1, 0.11, 0.11, 0.11]},
                         {"accuracy": [0.1, 0.34, 0.62, 0.81, 0.87]},
                         ("double-softmax", "cannot-overfit"), steps=60, seeds=2),
        ),),
        references=("PyTorch documentation, torch.nn.CrossEntropyLoss: https://pytorch.org/docs/"
                    "stable/generated/torch.nn.CrossEntropyLoss.html",),
    )


def _rate() -> Finding:
    return Finding(
        rule="lr-too-high", category="learning-rate", severity="error", confidence="medium",
        title="Learning rate 0.5 is likely about 9 times too high",
        message="In a sweep of 27 rates, 40 steps each, the loss becomes NaN at every rate from "
                "0.47 up and falls fastest at 0.053. The rate in use is 0.5, 9.43 times as high "
                "(limit 4).",
        why="Steps longer than the curvature allows overshoot and grow. With momentum 0.9 the "
            "effective step is 10 times the rate.",
        place=Place("model.py", 39, 49, 39, 55, _OPTIMIZER),
        evidence=(Evidence("lr_over_best", 9.43, "learning rate in use over the best of the sweep",
                           "", ">", 4.0, "max_ratio", "pack", "", 0.6),),
        consequences=("no-learning-at-any-rate",),
        fixes=(Fix(
            "Set lr to 0.02, a little under half the best rate of the sweep.",
            f"- {_OPTIMIZER}\n+ {_OPTIMIZER.replace('0.5', '0.02')}\n",
            remedy="set-lr",
            trial=TrialOutcome(reason="the time budget was used up; run with --budget 120s"),
        ),),
        references=("Smith 2017, Cyclical Learning Rates, arXiv:1506.01186",),
    )


def _order() -> Finding:
    return Finding(
        rule="unshuffled-loader", category="data", severity="warning", confidence="high",
        title="Batches hold 1.3 of 10 classes on average: the data is read in label order",
        message="32 batches of 64 hold 1.28 distinct labels on average. Shuffled, the same data "
                "gives 10.0.",
        why="Each batch pulls the model towards one class and the next one undoes it.",
        place=Place("model.py", 40, 55, 40, 68, _LOADER),
        evidence=(Evidence("label_order_p", 2.4e-91, "chance that a shuffled loader gives this",
                           "", "<", 1e-3, "max_p", "pack"),),
        fixes=(Fix("Shuffle the training loader.",
                   f"- {_LOADER}\n+ {_LOADER.replace('False', 'True')}\n"),),
        references=("Bengio 2012, Practical recommendations for gradient-based training of deep "
                    "architectures, arXiv:1206.5533",),
    )


def _no_overfit() -> Finding:
    return Finding(
        rule="cannot-overfit", category="fit", severity="error", confidence="high",
        title="The model cannot memorise 32 samples: the loss stays at 1.46",
        message="After 150 steps on the same 32 samples the loss is 1.46 (limit 0.1).",
        why="A model that cannot memorise a few samples is wired wrongly, or gets no useful "
            "gradient.",
        evidence=(Evidence("overfit_loss", 1.4612, "lowest loss reached on 32 samples",
                           "", ">", 0.1, "max_loss", "pack"),),
        causes=("double-softmax", "dying-relu"),
        fixes=(Fix("Mend double-softmax first."),),
        references=("Karpathy 2019, A Recipe for Training Neural Networks",),
    )


def _no_learning() -> Finding:
    return replace(
        _no_overfit(),
        rule="no-learning-at-any-rate", category="learning-rate",
        title="Nothing is learned: the loss moves by 0.001 in 60 steps",
        message="Over 60 steps the loss goes from 2.303 to 2.302 (least fall 0.05).",
        why="The weights do not move in a direction that lowers the loss.",
        evidence=(Evidence("loss_fall", 0.001, "fall of the loss", "", "<", 0.05, "min_fall",
                           "pack"),),
        causes=("dying-relu", "lr-too-high"), fixes=(), references=(),
    )


def _note() -> Finding:
    return Finding(
        rule="correlated-features", category="data", severity="info", confidence="high",
        title="64 input dimensions hold 99 % of their variance in 21 directions",
        message="The condition number of the input covariance is 3.2e5 (limit 1e4).",
        evidence=(Evidence("input_condition", 3.2e5, "condition number of the input covariance",
                           "", ">", 1e4, "max_condition", "pack"),),
        fixes=(Fix("Whiten the inputs, or put a normalisation layer first."),),
    )
