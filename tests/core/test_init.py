"""`audit init`: what it reads out of differently written scripts, and what it writes."""

from __future__ import annotations

import ast
import shutil
import textwrap
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from auditor.cli import main
from auditor.config import load_config

SCRIPTS = Path(__file__).parents[1] / "scripts"
# Script and what its target file has to define.
STYLES = {
    "main_only.py": {"build_model", "train_loader", "test_loader", "loss_fn", "optimizer",
                     "scheduler"},
    "package/train.py": {"build_model", "train_loader", "val_loader", "training_step",
                         "optimizer"},
    "hf_trainer.py": {"build_model", "train_loader", "val_loader", "optimizer"},
    "lightning_run.py": {"build_model", "train_loader", "val_loader"},
    "notebook.py": {"build_model", "loader", "training_step", "optimizer", "MoonNet"},
}


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def placed(style: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copy a script (with its package) to a folder of its own; return its name there."""
    source = SCRIPTS / style
    if source.parent != SCRIPTS:
        shutil.copytree(source.parent, folder, dirs_exist_ok=True)
    else:
        shutil.copy(source, folder)
    monkeypatch.chdir(folder)
    return source.name


def write(folder: Path, text: str, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def defined(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {item.id for item in ast.walk(node.targets[0]) if isinstance(item, ast.Name)}
    return names


@pytest.mark.parametrize("style", [
    pytest.param(style, marks=() if style == "main_only.py" else pytest.mark.sources)
    for style in STYLES])
def test_the_target_file_of_every_style_audits(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = placed(style, tmp_path, monkeypatch)
    before = (tmp_path / script).read_bytes()
    begun = init(script)

    assert begun.exit_code == 0, begun.output
    assert defined(tmp_path / "audit_target.py") >= STYLES[style]
    # Without a target: that of the configuration which init has written.
    result = CliRunner().invoke(main, ["run", "--profile", "quick", "--select",
                                       "wiring,objective"])
    assert result.exit_code == 0, result.stderr
    assert "audit_target.py" in result.stdout
    assert (tmp_path / script).read_bytes() == before
    assert not list(tmp_path.glob("*.pt"))


def test_a_folder_is_searched_for_the_script_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    placed("package/train.py", tmp_path, monkeypatch)

    assert "Read train.py without running it" in init(".").stdout


def test_the_script_is_never_run(tmp_path: Path) -> None:
    path = write(tmp_path, """
        raise SystemExit("was run")
        from torch import nn
        class Net(nn.Module):
            pass
        model = Net()
        loader = DataLoader(data)
    """)

    assert "found      model: model" in init(str(path)).stdout


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = write(tmp_path, "from x import y\nmodel = y()\nbatches = y()\n")
    (tmp_path / "audit.yaml").write_text("seed: 4\n")
    refused = init(str(path))

    assert refused.exit_code == 2 and "--force" in refused.stderr
    assert not (tmp_path / "audit_target.py").exists()
    assert (tmp_path / "audit.yaml").read_text() == "seed: 4\n"
    assert init(str(path), "--force").exit_code == 0
    assert "target:" in (tmp_path / "audit.yaml").read_text()


def test_what_was_not_found_is_said_and_ends_with_one(tmp_path: Path) -> None:
    path = write(tmp_path, """
        import torch
        from torch import nn
        class Net(nn.Module):
            def forward(self, x):
                return x
        def main(cfg):
            model = Net(cfg.width)
            optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr)
    """)
    result = init(str(path))

    assert result.exit_code == 1
    assert "not found  training data" in result.stdout
    assert "not found  what main() is given as `cfg`" in result.stdout
    assert "Complete " in result.stdout


def test_a_file_that_is_a_target_already_is_audited_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, """
        from mine import Net, loader_of, loss_fn
        train_loader = loader_of("train")
        def build_model():
            return Net()
    """)
    result = init(str(path))

    assert result.exit_code == 0
    assert "train.py can be audited as it is" in result.stdout
    assert not (tmp_path / "audit_target.py").exists()
    assert load_config(tmp_path).target == str(path)


def test_a_notebook_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert "nbconvert" in init(str(write(tmp_path, "{}", "a.ipynb"))).stderr


def test_a_script_without_anything_of_training_is_refused(tmp_path: Path) -> None:
    result = init(str(write(tmp_path, "print('hello')\n")))

    assert result.exit_code == 2
    assert not (tmp_path / "audit_target.py").exists()


@pytest.mark.parametrize("text", ["def broken(:\n", "x = 1\n\0"])
def test_a_file_that_is_not_python_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.py"
    path.write_text(text)

    assert init(str(path)).exit_code == 2


def test_the_workflow_runs_in_the_folder_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "models" / "shapes"
    folder.mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("numpy\n")
    init(str(write(folder, "from x import y\nmodel = y()\ntrain_loader = y()\n")))

    flow = yaml.safe_load((tmp_path / ".github/workflows/audit.yml").read_text())
    steps = flow["jobs"]["audit"]["steps"]
    (run,) = (step for step in steps if step.get("name") == "Audit")
    (install,) = (step for step in steps if step.get("name") == "Install")
    assert run["working-directory"] == "models/shapes"
    assert install["run"].rstrip().endswith("auditor -r requirements.txt")
    assert flow["permissions"] == {"contents": "read"}
    for step in steps:
        action = step.get("uses", "")
        assert not action or len(action.partition("@")[2]) == 40


def test_the_configuration_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(str(write(tmp_path, "from x import y\nmodel = y()\ntrain_loader = y()\n")))
    monkeypatch.chdir(tmp_path)

    found = load_config(tmp_path)
    assert (found.target, found.fail_on) == ("audit_target.py", "error")


def target_of(folder: Path, text: str) -> str:
    init(str(write(folder, text)), "--force")
    return (folder / "audit_target.py").read_text(encoding="utf-8")


def test_a_loop_that_changes_its_batch_becomes_a_step(tmp_path: Path) -> None:
    text = target_of(tmp_path, """
        import torch
        from torch import nn
        from data import loader
        def main():
            model = nn.Linear(784, 10)
            criterion = nn.CrossEntropyLoss()
            opt = torch.optim.Adam(model.parameters())
            for x, y in loader:
                x = x.view(-1, 784)
                loss = criterion(model(x), y)
                loss.backward()
        if __name__ == "__main__":
            main()
    """)

    assert "def training_step(model, batch):\n    x, y = batch\n    x = x.view(-1, 784)" in text
    assert "criterion = nn.CrossEntropyLoss()" in text
    assert "from data import loader" in text


def test_keywords_of_a_functional_loss_are_kept(tmp_path: Path) -> None:
    text = target_of(tmp_path, """
        import torch
        import torch.nn.functional as F
        from mine import Net, train_loader
        SMOOTH = 0.1
        def main():
            net = Net()
            opt = torch.optim.Adam(net.parameters())
            for x, y in train_loader:
                out = net(x.cuda())
                loss = F.cross_entropy(out, y.cuda(), label_smoothing=SMOOTH)
                loss.backward()
    """)

    assert "return F.cross_entropy(output, target, label_smoothing=SMOOTH)" in text
    assert "from train import SMOOTH" in text


def test_layers_that_are_frozen_or_replaced_come_along(tmp_path: Path) -> None:
    text = target_of(tmp_path, """
        import torch
        from torchvision.models import resnet18
        from mine import train_loader
        def main():
            model = resnet18()
            for p in model.parameters():
                p.requires_grad = False
            model.fc = torch.nn.Linear(512, 2)
            model = torch.compile(model)
            print(model)
            optimizer = torch.optim.Adam(model.fc.parameters())
            torch.save(model, "start.pt")
            for x, y in train_loader:
                loss = model(x).mean()
                loss.backward()
    """)

    made = text.partition("def build_model():")[2].partition("\n\n\n")[0]
    assert "p.requires_grad = False" in made and "model.fc = " in made
    assert "compile" not in text and "print" not in text and "save" not in text


def test_a_script_that_makes_everything_at_import_is_imported(tmp_path: Path) -> None:
    text = target_of(tmp_path, """
        import torch
        from mine import Net, data
        model = Net()
        loader_a = torch.utils.data.DataLoader(data)
        optimizer = torch.optim.Adam(model.parameters())
        def fit():
            for x, y in loader_a:
                loss = torch.nn.functional.mse_loss(model(x), y)
                loss.backward()
        if __name__ == "__main__":
            fit()
    """)

    assert "from train import" in text
    assert {"model", "optimizer"} <= set(text.partition("from train import ")[2].split("\n")[0]
                                         .split(", "))


def test_what_a_function_is_given_is_followed_to_its_caller(tmp_path: Path) -> None:
    text = target_of(tmp_path, """
        import torch
        from accelerate import Accelerator
        from mine import Net, loaders
        def training(config, args):
            accelerator = Accelerator()
            train_dataloader, _ = loaders(config["size"])
            model = Net()
            optimizer = torch.optim.AdamW(params=model.parameters(), lr=config["lr"])
            model, optimizer = accelerator.prepare(model, optimizer)
            for step, (x, y) in enumerate(train_dataloader):
                loss = torch.nn.functional.mse_loss(model(x), y)
                accelerator.backward(loss)
        def main():
            config = {"size": 8, "lr": 1e-3}
            training(config, None)
        if __name__ == "__main__":
            main()
    """)

    assert 'config = {"size": 8, "lr": 1e-3}' in text
    assert "ccelerat" not in text
    assert "loss_fn = torch.nn.functional.mse_loss" in text
    assert "def optimizer(model):" in text


def test_the_names_of_the_loop_are_those_that_its_function_is_given(tmp_path: Path) -> None:
    text = target_of(tmp_path, """
        import torch
        from torch import nn
        from mine import Net, data
        def epoch(net, batches, crit, opt):
            for batch in batches:
                with torch.autocast("cpu"):
                    loss = crit(net(batch["x"]), batch["y"])
                loss.backward()
        if __name__ == "__main__":
            dl_train = torch.utils.data.DataLoader(data)
            network = Net()
            ce = nn.CrossEntropyLoss()
            opt = torch.optim.Adam(network.parameters())
            epoch(network, dl_train, ce, opt)
    """)

    assert "crit = ce" in text and "train_loader = dl_train" in text
    assert "def training_step(net, batch):\n    with torch.autocast" in text
    assert "def optimizer(network):" in text
