"""The checks of a request's JSON, by the same schemas that the OpenAPI document shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recbole_mm.errors import InputError, nearest
from recbole_mm.finite import is_finite, shown

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def check(value: Any, schema: Mapping[str, Any], place: str) -> None:
    """Raise InputError, naming the place, unless a value has the form of a schema.

    Args:
        schema: of the keys type, nullable, enum, properties, required, additionalProperties, maxProperties, items,
            minItems, maxItems, maxLength, minimum and maximum; or oneOf, schemas of different types.
        place: name of the value in messages.
    """
    if value is None and schema.get("nullable"):
        return
    if "oneOf" in schema:
        kinds = [one["type"] for one in schema["oneOf"]]
        fitting = [one for one in schema["oneOf"] if isinstance(value, _KINDS[one["type"]])]
        if not fitting:
            raise InputError(f"{place}: must be of type {' or '.join(kinds)}")
        return check(value, fitting[0], place)
    kind = schema["type"]
    if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise InputError(f"{place}: must be {'an' if kind[0] in 'aeio' else 'a'} {kind}")
    if "enum" in schema and value not in schema["enum"]:
        raise InputError(f"{place}: must be one of {', '.join(map(repr, schema['enum']))}")
    if kind == "object":
        _check_object(value, schema, place)
    elif kind == "array":
        low, high = schema.get("minItems", 0), schema["maxItems"]
        if not low <= len(value) <= high:
            raise InputError(f"{place}: has {len(value):,} entries, but must have from {low:,} to {high:,}")
        for position, item in enumerate(value):
            check(item, schema["items"], f"{place}[{position}]")
    elif kind == "string" and len(value) > schema["maxLength"]:
        raise InputError(f"{place}: has {len(value):,} characters, but at most {schema['maxLength']:,} are allowed")
    elif kind in ("integer", "number"):
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not is_finite(value) or not low <= value <= high:
            allowed = f"from {low:g} to {high:g}" if low < high < math.inf else "a finite number"
            raise InputError(f"{place}: is {shown(value)}, but must be {allowed}")


def _check_object(value: dict, schema: Mapping[str, Any], place: str) -> None:
    properties, others = schema.get("properties", {}), schema["additionalProperties"]
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        raise InputError(f"{place}: needs '{missing[0]}'")
    if len(value) > schema.get("maxProperties", len(value)):
        raise InputError(f"{place}: has {len(value):,} entries, but at most {schema['maxProperties']:,} are allowed")
    for name, item in value.items():
        if name in properties:
            check(item, properties[name], f"{place}.{name}" if place else name)
        elif isinstance(others, Mapping):
            check(item, others, f"{place}['{name[:40]}']")
        else:
            raise InputError(
                f"{place}: '{name[:40]}' is no key; keys are {', '.join(properties)}.{nearest(name[:40], properties)}"
            )
