"""Options that follow from a model's kind and its task, so that every built-in model runs under our protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole.utils import ModelType

from recbole_mm.model.capabilities import Capabilities, capabilities_of

_OF_FEATURES = (ModelType.CONTEXT, ModelType.SEQUENTIAL)


# Models that read vectors of the entities of a knowledge graph -> whether they read those of its relations too.
ENTITY_VECTORS = {"GRU4RecKG": False, "KSR": True}


# Atomic files of a knowledge graph and of vectors of its entities and relations.
GRAPH_FILES = ("kg", "link", "ent", "rel")


def quick_start_files(model: str, kind: ModelType) -> list[str]:
    """RecBole's property files for a kind of model, without those for its own copy of ml-100k."""
    if kind == ModelType.CONTEXT:
        return ["context-aware.yaml"]
    if kind == ModelType.KNOWLEDGE:
        return ["knowledge_base.yaml"]
    if kind != ModelType.SEQUENTIAL:
        return []
    if model in ("DIN", "DIEN"):
        return ["sequential_DIN.yaml"]
    # RecBole's file for models of entity vectors lacks their split and what reads the vectors: `_entity_vectors`.
    return ["sequential.yaml"]


def task_options(options: Mapping[str, Any], model_class: type) -> dict[str, Any]:
    """Options for negatives and labels and, except for our models, for columns.

    Args:
        options: of the run, the user's included.
        model_class: the model; a model that predicts ratings learns from ratings, and a sampled negative has no rating.
    """
    kind, capabilities = model_class.type, capabilities_of(model_class)
    is_multitask = bool(capabilities.tasks)
    changes: dict[str, Any] = {}
    if is_multitask or capabilities.predicts_ratings:
        changes.update(train_neg_sample_args=None, threshold=None, normalize_all=False)
        if not is_multitask:
            changes["LABEL_FIELD"] = options["RATING_FIELD"]
    elif kind == ModelType.CONTEXT:
        negatives = {"distribution": "uniform", "sample_num": 1}
        changes.update(train_neg_sample_args=negatives, threshold=None, LABEL_FIELD="label")
    elif kind == ModelType.SEQUENTIAL and options.get("loss_type") == "CE":
        changes["train_neg_sample_args"] = None  # RecBole refuses its own default here
    elif kind == ModelType.KNOWLEDGE and isinstance(options["load_col"], dict):
        changes["load_col"] = {**_graph(options), **options["load_col"]}
    if model_class.__name__ in ENTITY_VECTORS:
        changes.update(_entity_vectors(options, ENTITY_VECTORS[model_class.__name__]))
    if not is_multitask:
        changes.update(_columns({**options, **changes}, kind, capabilities))
    return changes


def _graph(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Fields of the files of a knowledge graph."""
    triple = [options[name] for name in ("HEAD_ENTITY_ID_FIELD", "RELATION_ID_FIELD", "TAIL_ENTITY_ID_FIELD")]
    return {"kg": triple, "link": [options["ITEM_ID_FIELD"], options["ENTITY_ID_FIELD"]]}


def _entity_vectors(options: Mapping[str, Any], of_relations: bool) -> dict[str, Any]:
    """Options with which RecBole reads <dataset>.ent (and .rel), unless the user has set them."""
    if options.get("preload_weight") or not isinstance(options["load_col"], dict):
        return {}
    files = {**_graph(options), "ent": ["ent_id", "ent_emb"]}
    changes: dict[str, Any] = {"alias_of_entity_id": ["ent_id"], "preload_weight": {"ent_id": "ent_emb"}}
    if of_relations:
        files["rel"] = ["rel_id", "rel_emb"]
        changes.update(alias_of_relation_id=["rel_id"], preload_weight={"ent_id": "ent_emb", "rel_id": "rel_emb"})
    suffixes = [suffix for suffix in files if suffix not in ("kg", "link")]
    return {**changes, "additional_feat_suffix": suffixes, "load_col": {**files, **options["load_col"]}}


def with_split_field(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with which the field that says each row's part is read for the split, and then taken from the rows.

    Left in them, it would be an input of every model of features, and say which rows are tested.
    """
    field, load_col, unused = options["split_field"], options["load_col"], options.get("unused_col") or {}
    changes: dict[str, Any] = {"unused_col": {**unused, "inter": _with(unused.get("inter"), field)}}
    if isinstance(load_col, dict) and isinstance(load_col.get("inter"), list):
        changes["load_col"] = {**load_col, "inter": _with(load_col["inter"], field)}
    return changes


def _with(fields: Sequence[str] | None, field: str) -> list[str]:
    return list(dict.fromkeys([*(fields or []), field]))


def _columns(options: Mapping[str, Any], kind: ModelType, capabilities: Capabilities) -> dict[str, Any]:
    """Fields of a model that is not ours: no titles, genres only with ``genre_input``, only ids without features.

    Every field loaded is copied into every batch. All item ids stay, so that all models have the same movies.
    """
    load_col = options["load_col"]
    if not isinstance(load_col, dict) or not isinstance(load_col.get("item"), list):
        return {}
    title, year = options["title_field"], options["year_field"]
    changes: dict[str, Any] = {}
    if kind in _OF_FEATURES:
        unused = [title]
        if kind != ModelType.SEQUENTIAL and not options["genre_input"]:
            unused.append(options["genre_field"])
    else:
        # Titles and years are read only to keep the ids of one movie on one side of a split by movie.
        unused = [title, year] if options["split_by"] == "cold_item" else []
        kept = [options["ITEM_ID_FIELD"], *unused, *([options["genre_field"]] if capabilities.reads_genres else [])]
        if capabilities.reads_attributes:
            kept.append(year)
            unused = [field for field in unused if field != year]
        item = [field for field in load_col["item"] if field in kept]
        others = [name for name in load_col if name != "user" or capabilities.reads_attributes]
        changes["load_col"] = {**{name: load_col[name] for name in others}, "item": item}
    unused = [field for field in unused if field in load_col["item"]]
    if unused:
        changes["unused_col"] = {"item": unused}
    return changes
