"""Makes the gallery: audits every file beside this one, writes its reports and takes pictures.

    python examples/gallery/make.py             # everything, a few minutes
    python examples/gallery/make.py lenet       # one member
    python examples/gallery/make.py --draw      # from the saved runs, without measuring

The pictures of the first screens are taken with Chromium; without one (or without
`pip install 'auditor[browser]'`) the old pictures stay.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from auditor import registry
from auditor.command import read_report
from auditor.output import renderer_for, write_report

HERE = Path(__file__).resolve().parent
REPORTS = HERE / "reports"
# In the order in which somebody new to the subject meets them.
MEMBERS = {
    "lenet": "a healthy LeNet-5 on MNIST",
    "zero_init": "all weights start at zero",
    "dying_relu": "biases of -5 before a ReLU",
    "tanh_saturated": "tanh layers with weights of deviation 1",
    "rate_too_high": "Adam at a learning rate of 0.1",
    "overfitting": "300 digits, and nothing that regularises",
    "bert": "a healthy BERT from `transformers`",
    "gpt2": "a healthy GPT-2 from `transformers`",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCREEN = {"width": 1000, "height": 760}
# Ample: on a busy machine nothing is left out.
BUDGET = "900s"


def measure(name: str) -> None:
    """Audit one member and keep what was seen, without the blanks of a file for readers."""
    saved = REPORTS / f"{name}.json"
    # Of the runner that makes the gallery, the reports must not speak.
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")}
    # Findings are what the gallery is about, no failure.
    subprocess.run(
        [sys.executable, "-m", "auditor", "run", f"{name}.py", "--quiet", "--no-cache",
         "--fail-on", "never", "--budget", BUDGET, "-o", str(saved)],
        cwd=HERE, env={**environment, "OMP_NUM_THREADS": "1", "AUDITOR_PLUGINS": "none"},
        check=True)
    report = json.loads(saved.read_text(encoding="utf-8"))
    saved.write_text(json.dumps(report, separators=(",", ":")) + "\n", encoding="utf-8")


def draw(name: str) -> None:
    """Write the page and the Markdown of a saved run, as it was judged."""
    report, renderers = read_report(REPORTS / f"{name}.json"), registry.renderers().items
    for suffix in ("html", "md"):
        path = REPORTS / f"{name}.{suffix}"
        write_report(path, renderer_for(path, renderers), report)


def take_pictures(names: list[str]) -> None:
    """Take the first screen of every page."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        print("no Chromium or no playwright: the pictures stay as they are", file=sys.stderr)
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for name in names:
            page = browser.new_page(viewport=SCREEN)
            page.goto((REPORTS / f"{name}.html").as_uri())
            page.screenshot(path=REPORTS / f"{name}.png")
            page.close()
        browser.close()


def write_index() -> None:
    """Write the table of the members with what was found in each."""
    rows = []
    for name, says in MEMBERS.items():
        report = json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
        roots = [f"`{finding['rule']}`" for finding in report["findings"]
                 if not finding["causes"] and finding["severity"] != "info"]
        links = " · ".join(f"[{label}](reports/{name}.{suffix})" for label, suffix in (
            ("Markdown", "md"), ("page", "html"), ("JSON", "json"), ("first screen", "png")))
        rows.append(f"| [`{name}.py`]({name}.py) | {says} | {', '.join(roots) or 'nothing'} | "
                    f"{links} |")
    text = (HERE / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("| Target |")
    after = rest.partition("\n\n")[2]
    table = "\n".join(["| Target | What is wrong with it | Root cause found | Reports |",
                       "| --- | --- | --- | --- |", *rows])
    (HERE / "README.md").write_text(f"{before}{table}\n\n{after}", encoding="utf-8")


def main() -> None:
    """Make the members that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEMBERS))
    parser.add_argument("--draw", action="store_true", help="from the saved runs")
    asked = parser.parse_args()
    names = asked.names or list(MEMBERS)
    REPORTS.mkdir(exist_ok=True)
    for name in names:
        print(f"{name}: {MEMBERS[name]}", flush=True)
        if not asked.draw:
            measure(name)
        draw(name)
    take_pictures(names)
    write_index()


if __name__ == "__main__":
    main()
