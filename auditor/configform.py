"""The form of `[tool.auditor]` and `audit.yaml`: pydantic models, and their JSON Schema."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, field_validator

from auditor.grades import Severity
from auditor.packfile import Line, Number, Strict, Text

FailOn: TypeAlias = Literal["error", "warning", "info", "never"]
Profile: TypeAlias = Literal["quick", "standard", "thorough"]


class IgnoreEntry(Strict):
    """Findings of one rule that are shown as ignored and do not fail."""

    rule: Text = Field(description="Id or category of the rule.")
    layers: Text | None = Field(
        None, description="Which layers, parameters or features, like 'backbone.*'; all if unset."
    )
    reason: Line = Field(description="Why; it stands in every report.")


class ConfigEntry(Strict):
    """Settings of the auditor."""

    target: Text | None = Field(
        None, description="What is audited if none is named: model.py, model.py:NAME or "
                          "package.module:NAME, seen from this file's folder.")
    model: Text | None = Field(None, description="Name of the model in the target.")
    train_loader: Text | None = Field(None, description="Name of the training loader.")
    val_loader: Text | None = Field(None, description="Name of the validation loader.")
    loss: Text | None = Field(None, description="Name of the loss.")
    step: Text | None = Field(None, description="Name of the training step.")
    optimizer: Text | None = Field(None, description="Name of the optimizer.")
    scheduler: Text | None = Field(None, description="Name of the scheduler.")
    profile: Profile | None = Field(
        None, description="quick: no training trials; thorough: several seeds and more time.")
    budget: str | Number | None = Field(None, description="Wall time of all probes, like 90s.")
    seed: int | None = Field(None, ge=0, lt=2**32, description="Of every trial.")
    device: Text | None = Field(None, description="Where trials run, like cpu or cuda.")
    select: list[Text] = Field([], description="Only these rules and categories.")
    ignore: list[IgnoreEntry] = Field(
        [], description="Names of rules and categories that are not judged, and tables with "
                        "findings that are shown as ignored.")
    fail_on: FailOn | None = Field(None, description="From which severity on the audit fails.")
    strict: bool | None = Field(
        None, description="Also fail if something that had to be measured was not.")
    baseline: Text | None = Field(
        None, description="File with the findings that are known, seen from this file's folder.")
    cache: bool | None = Field(None, description="Reuse measurements of an unchanged target.")
    workers: int | None = Field(
        None, ge=1, description="Most processes that try fixes at a time; as many as there are "
                                "cores if unset.")
    thresholds: dict[str, dict[str, Number]] = Field(
        {}, description="Rule to threshold to limit.")
    severity: dict[str, Severity] = Field({}, description="Rule to severity.")
    rules: list[Text] = Field(
        [], description="Further rule packs, seen from this file's folder.")

    @field_validator("ignore", mode="before")
    @classmethod
    def _names(cls, found: Any) -> Any:
        """Let a name alone stand for a rule that is not judged at all."""
        if not isinstance(found, list):
            return found
        return [IgnoreEntry.model_construct(rule=item, layers=None, reason="")
                if isinstance(item, str) else item for item in found]


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of the settings, for editors."""
    schema = ConfigEntry.model_json_schema()
    properties = schema["properties"]
    table = properties["ignore"]["items"]
    properties["ignore"]["items"] = {"anyOf": [{"type": "string", "minLength": 1}, table]}
    # Keys of the first level may also be written with hyphens.
    schema["properties"] = {
        spelling: told for name, told in properties.items()
        for spelling in dict.fromkeys((name.replace("_", "-"), name))
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema",
            **schema, "title": "Settings of the auditor: [tool.auditor] or audit.yaml"}
