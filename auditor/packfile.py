"""The form of a rule pack: pydantic models, and their errors as file, line, column and caret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.document import Document, Path, read_document
from auditor.errors import AuditorError, PackError, nearest
from auditor.grades import Confidence, Severity

Category: TypeAlias = Literal[
    "data", "wiring", "objective", "initialization", "activation", "gradient", "learning-rate",
    "fit", "batch", "regularization", "numerics", "loop",
]
PlaceKind: TypeAlias = Literal["layer", "optimizer", "loader", "loss", "model", "none"]
ForEach: TypeAlias = Literal["run", "layer", "parameter", "feature"]
LifeCycle: TypeAlias = Literal["preview", "stable", "deprecated"]

Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=4000)]
Line: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
Slug: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_PROBLEMS = 10


class Strict(BaseModel):
    """Only the declared keys, and no conversion: the text "no" is not a false."""

    # Built when first used: then the parts of a model are built once, with the whole.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class ThresholdEntry(Strict):
    """A number that judges, with the reason for it."""

    default: Number = Field(description="The limit; in the unit.")
    unit: str = Field(description="Of the limit and of what is compared with it; '' for counts.")
    source: Line = Field(description="Why this number, and what it was calibrated on.")


class FixEntry(Strict):
    """One concrete change."""

    summary: Line = Field(description="What to do, imperative, in one sentence.")
    when: Line | None = Field(None, description="Shown only if this condition holds.")
    code: str = Field("", max_length=4000, description="A snippet with the user's own names.")
    safety: str = Field("", max_length=1000, description="What the change can do besides.")
    remedy: str = Field("", max_length=60, description="Name of the remedy that tries it.")


class RuleEntry(Strict):
    """One pathology: what must be measured for it, and when it is there."""

    id: Slug = Field(description="The noun of the pathology in its failing state.")
    since: Line = Field(description="The version that brought it.")
    status: LifeCycle
    severity: Severity
    confidence: Confidence
    for_each: ForEach = Field(description="What is judged one by one.")
    requires: Annotated[list[Name], Field(min_length=1)] = Field(
        description="Quantities that `when` speaks of; the first one decides which is worst."
    )
    mentions: list[Name] = Field(
        [], description="Quantities that are used only if they were measured."
    )
    when: Line = Field(description="The condition under which the rule fires.")
    severity_when: dict[Severity, Line] = Field(
        {}, description="Other severities; the first that holds wins."
    )
    confidence_when: dict[Confidence, Line] = Field(
        {}, description="Other confidences; the first that holds wins."
    )
    at_start: Line | None = Field(
        None, description="Holds where it was there before the first step: no rate caused it."
    )
    thresholds: dict[Name, ThresholdEntry] = {}
    title: Line = Field(description="The thing, what it does, the number.")
    title_pass: Line = Field(description="What is true when the rule does not fire.")
    message: Text = Field(description="Measurement, limit, meaning, in full sentences.")
    why: Text = Field(description="The mechanism, in one or two sentences.")
    place: PlaceKind | None = Field(
        None, description="Whose source line is shown; by default the layer's, if there is one."
    )
    causes: list[Slug] = Field([], description="Rules that explain this one.")
    hides: list[Slug] = Field(
        [], description="Rules that cannot be judged while this one stands."
    )
    fixes: list[FixEntry] = Field([], description="The best first.")
    references: list[Line] = []


class PackEntry(Strict):
    """A rule pack of the auditor."""

    category: Category
    rules: Annotated[list[RuleEntry], Field(min_length=1)]


def read_pack(data: bytes | str, name: str) -> tuple[PackEntry, Document]:
    """Return the content of a pack and where everything stands in it.

    Raises:
        PackError: The file is no YAML or no pack; the message shows each wrong line.
    """
    document = read_document(data, name, PackError)
    return validate(PackEntry, document, PackError), document


def validate(model: type[_Model], document: Document, error: type[AuditorError]) -> _Model:
    """Return the document as a model.

    Raises:
        AuditorError: Of the type `error`; it holds every problem with its line and a caret.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as problem:
        parts = list(_problems(model, document, problem))
    first, rest = parts[0], parts[1:]
    raise error(first[0], where="\n".join([first[1], *(f"{text}\n{at}" for text, at in rest)]))


def _problems(
    model: type[BaseModel], document: Document, problem: ValidationError
) -> Iterator[tuple[str, str]]:
    seen = set()
    for item in problem.errors(include_url=False)[:_MOST_PROBLEMS]:
        kind = item["type"]
        path = _plain_path(item["loc"])
        if kind == "extra_forbidden":
            known = frozenset(_known_keys(model, path[:-1]))
            text = f"unknown key '{path[-1]}'{nearest(str(path[-1]), known)}"
        elif kind == "missing":
            text = f"the key '{path[-1]}' is missing"
        else:
            text = _in_words(kind, item)
        at = document.where(path, key=kind == "extra_forbidden" or item["loc"][-1:] == ("[key]",))
        if (text, at) not in seen:
            seen.add((text, at))
            yield text, at


def _in_words(kind: str, item: Any) -> str:
    value, context = item["input"], item.get("ctx", {})
    shown = f"'{value}'" if isinstance(value, (str, int, float)) else type(value).__name__
    if kind == "literal_error":
        close = nearest(str(value), tuple(part.strip(" '") for part in
                                          context["expected"].replace(" or ", ", ").split(",")))
        return f"{shown} is not one of {context['expected']}{close}"
    if kind == "string_pattern_mismatch":
        return f"{shown} does not have the form {context['pattern']}"
    return f"{item['msg'].removeprefix('Input ').removeprefix('Value error, ')}, not {shown[:60]}"


def _plain_path(location: tuple[str | int, ...]) -> Path:
    """Return the path in the document: pydantic marks a bad key of a dict with "[key]"."""
    return tuple(part for part in location if part != "[key]")


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys that are legal at a path of the document."""
    # The content of a file that is a list stands in a field of this name.
    for part in ("root", *path):
        if part in model.model_fields:
            model = _inner_model(model.model_fields[str(part)].annotation) or model
    return list(model.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
