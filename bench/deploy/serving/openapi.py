"""The API, described as OpenAPI 3.1: what tests hold it against is what users read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.system.environment import project_version

if TYPE_CHECKING:
    from bench.deploy.serving.limits import Limits

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}


def _or_none(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that has all of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_SHAPE = _list(_WHOLE, minItems=3, maxItems=3, description="channels, height, width")
_PIXELS = {**_TEXT, "contentEncoding": "base64", "description": "a byte each, in the order of the shape"}
_IMAGE = {"shape": _SHAPE, "pixels": _PIXELS}
_SCHEMAS: dict[str, Any] = {
    "Error": _object({"error": {**_TEXT, "description": "one line: what was wrong, and what to do"}}),
    "Health": _object({"status": {"enum": ["ok", "stale"]}, "study": _TEXT, "architectures": _WHOLE, "version": _TEXT}),
    "Architectures": _object(
        {
            "study": _TEXT,
            "version": _TEXT,
            "dataset": _object(
                {
                    "name": _TEXT,
                    "classes": _list(_TEXT),
                    "image_shape": _SHAPE,
                    "drawn": {"type": "boolean", "description": "whether pictures are brought to MNIST's form"},
                }
            ),
            "architectures": _list(
                _object(
                    {
                        "name": _TEXT,
                        "seed": _WHOLE,
                        "chosen": _TEXT,
                        "params": _or_none(_WHOLE),
                        "macs": _or_none(_WHOLE),
                        "test_accuracy": _or_none(_SHARE),
                        "test_accuracy_interval": _or_none(_list(_SHARE, minItems=2, maxItems=2)),
                        "runtime": {"enum": ["onnxruntime", "torch"]},
                        "summary": _TEXT,
                    }
                )
            ),
            "notes": _list(_TEXT),
        }
    ),
    "Examples": _object({"examples": _list(_object({"label": _TEXT, **_IMAGE}))}),
    "Answer": _object(
        {
            "version": _TEXT,
            "label": {**_TEXT, "description": "what most architectures say"},
            "agreeing": _WHOLE,
            "classes": _list(_TEXT),
            "image": _object(
                {
                    "said": _list(_TEXT, description="what was done to the picture"),
                    "far": _or_none({"type": "boolean", "description": "far from the data that was trained on"}),
                    "why": _or_none({**_TEXT, "description": "what makes it far; empty where it is near"}),
                    "similarity": _or_none({**_NUMBER, "description": "highest correlation with an image of the data"}),
                    **_IMAGE,
                }
            ),
            "architectures": _list(
                _object(
                    {
                        "name": _TEXT,
                        "label": _TEXT,
                        "confidence": _SHARE,
                        "probabilities": _list(_SHARE),
                        "agrees": {"type": "boolean"},
                        "milliseconds": _NUMBER,
                    }
                )
            ),
            "layers": _or_none(
                _object(
                    {
                        "architecture": _TEXT,
                        "runtime": _TEXT,
                        "layers": _list(
                            _object(
                                {
                                    "layer": _TEXT,
                                    "kind": _TEXT,
                                    "output_shape": _list(_WHOLE),
                                    "low": _NUMBER,
                                    "high": _NUMBER,
                                    **_IMAGE,
                                }
                            )
                        ),
                    }
                )
            ),
            "milliseconds": _NUMBER,
        }
    ),
}
_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_JSON_BODY = {
    "oneOf": [
        _object({"image": {**_TEXT, "contentEncoding": "base64", "description": "a picture's file"}}),
        _object({"pixels": {"type": "array", "description": "H×W, C×H×W or H×W×C; 0 to 255, or fractions"}}),
    ]
}
_FORM = {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}, "required": ["image"]}


def describe_api(limits: Limits) -> dict[str, Any]:
    """The description, with the limits that hold."""
    body = f"At most {limits.body_bytes:,} bytes, {limits.side:,} pixels a side and {limits.pixels:,} in all."
    refusals = {
        "400": "The request means nothing: a parameter, a name or the body.",
        "413": f"The body has more than {limits.body_bytes:,} bytes; of far more the answer is plain text.",
        "415": "The content type is not read.",
        "422": "The picture cannot be read, is too large, or nothing is drawn on it.",
        "429": "Too many requests of one address.",
        "500": "A fault of the server.",
        "503": f"The answer took more than {limits.seconds:g} seconds.",
    }
    predict = {
        "summary": "What the nets say of a picture",
        "parameters": [
            {
                "name": "architecture",
                "in": "query",
                "description": "who is asked; several by repeating it, all without",
                "schema": _list(_TEXT),
            },
            {"name": "layers", "in": "query", "description": "whose layers are shown", "schema": _TEXT},
        ],
        "requestBody": {
            "required": True,
            "description": f"PNG, JPEG, WebP, GIF, BMP, TIFF or PPM. {body}",
            "content": {
                "image/*": _BINARY,
                "application/octet-stream": _BINARY,
                "multipart/form-data": {"schema": _FORM},
                "application/json": {"schema": _JSON_BODY},
            },
        },
        "responses": {"200": _answers("Answer", "what they say"), **_refusals(refusals)},
    }
    rate = _refusals({"429": refusals["429"]})
    return {
        "openapi": "3.1.0",
        "info": {"title": "architecture-bench playground", "version": project_version()},
        "paths": {
            "/api/predict": {"post": predict},
            "/api/architectures": {"get": _get("Architectures", "The nets, and what they were trained on", rate)},
            "/api/examples": {"get": _get("Examples", "A training image of each class", rate)},
            "/api/openapi.json": {
                "get": {
                    "summary": "This description",
                    "responses": {
                        "200": {
                            "description": "An OpenAPI description",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        },
                        **rate,
                    },
                }
            },
            "/healthz": {"get": _get("Health", "Whether it can answer", {})},
        },
        "components": {"schemas": _SCHEMAS},
    }


def _get(schema: str, summary: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _answers(schema, summary), **more}}


def _answers(schema: str, description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _refusals(by_code: dict[str, str]) -> dict[str, Any]:
    return {code: _answers("Error", description) for code, description in by_code.items()}
