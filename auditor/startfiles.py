"""The configuration and the workflow that `audit init` writes beside a target file."""

from __future__ import annotations

import json
import string

_CONFIG = """\
# Settings of `audit run` in this folder; `audit config` says what is in effect and why.
target: {target}
# From which severity on a run fails: error, warning, info or never.
fail-on: error
# Findings that you have decided to live with stay in the report, with your reason:
# ignore:
#   - {{rule: dying-relu, layers: "backbone.*", reason: "pretrained"}}
"""

# The actions are pinned by the hash of their commits: a tag can be moved.
_WORKFLOW = string.Template("""\
name: audit
on:
  pull_request:
  push:
    branches: [main]

permissions:
  contents: read

jobs:
  audit:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    permissions:
      contents: read
      security-events: write  # for the upload of the SARIF file
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683  # v4.2.2
        with:
          persist-credentials: false
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065  # v5.6.0
        with:
          python-version: "3.11"
          cache: pip
      - name: Install
        run: |
          python -m pip install torch --index-url https://download.pytorch.org/whl/cpu
          python -m pip install auditor$requirements
      - uses: actions/cache@5a3ec84eff668545956fd18022155c47e93e2684  # v4.2.3
        with:
          path: ~/.cache/auditor
          key: auditor-$${{ github.run_id }}
          restore-keys: auditor-
      - name: Audit
        working-directory: $folder
        run: >-
          audit run
          -o "$$GITHUB_WORKSPACE/audit.sarif" -o "$$GITHUB_WORKSPACE/audit.html"
      - uses: github/codeql-action/upload-sarif@ff0a06e83cb2de871e5a09832bc6a81e7276941f  # v3.28.18
        if: always() && hashFiles('audit.sarif') != ''
        with:
          sarif_file: audit.sarif
      - uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02  # v4.6.2
        if: always()
        with:
          name: audit
          path: audit.html
          if-no-files-found: ignore
""")


def config_file(target: str) -> str:
    """Return `audit.yaml` for a target file beside it."""
    return _CONFIG.format(target=json.dumps(target))


def workflow_file(folder: str, requirements: str) -> str:
    """Return a workflow of GitHub Actions.

    Args:
        folder: With the configuration, seen from the root of the repository.
        requirements: A requirements file, seen from there too; empty if there is none.
    """
    return _WORKFLOW.substitute(
        folder=json.dumps(folder or "."),
        requirements=f" -r {requirements}" if requirements else "",
    )
