"""The app against its own description: every path, right and wrong; what each answer carries, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from bench.core.options import UseOptions
from bench.data.datasets import load_dataset
from tests.bench.deploy.stored import options_for

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from bench.deploy.serving.playground import Playground

DATA = load_dataset("mnist5k", Path())
IMAGE = DATA.test_images[0, 0]


def encode(pixels: Any, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, kind)
    return stream.getvalue()


def post(client: FlaskClient, body: Any, **more: Any) -> Any:
    given = {"content_type": "application/octet-stream"} | more
    return client.post(f"/api/predict{given.pop('query', '')}", data=body, **given)


@pytest.fixture(scope="session")
def description(client: FlaskClient) -> Any:
    return client.get("/api/openapi.json").get_json()


def check(response: Any, description: Any, path: str, method: str = "get") -> Any:
    """Hold a response against what is described of it."""
    described = description["paths"][path][method]["responses"]
    assert str(response.status_code) in described, response.get_json()
    schema = described[str(response.status_code)]["content"]["application/json"]["schema"]
    body = response.get_json()
    jsonschema.validate(body, schema | {"components": description["components"]})
    return body


def test_the_description_is_openapi_and_names_every_route(client: FlaskClient, description: Any) -> None:
    assert description["openapi"].startswith("3.1")
    routes = {str(rule) for rule in client.application.url_map.iter_rules()}
    pages = {"/", "/report", "/page/<name>"}
    assert set(description["paths"]) == routes - pages
    for path, methods in description["paths"].items():
        for method in methods:
            if method == "get":
                assert check(client.get(path), description, path)


def test_both_nets_answer_as_they_were_made_to(client: FlaskClient, description: Any) -> None:
    for at in (0, 7, 400):
        body = check(post(client, encode(DATA.test_images[at, 0])), description, "/api/predict", "post")
        contrary, means = body["architectures"]
        assert (contrary["name"], means["name"]) == ("contrary", "means")
        assert int(contrary["label"]) == 9 - int(means["label"])
        assert sum(means["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert max(means["probabilities"]) == pytest.approx(means["confidence"], abs=1e-6)
        assert body["agreeing"] == 1
        assert body["image"]["said"] == []
        assert base64.b64decode(body["image"]["pixels"]) == DATA.test_images[at].tobytes()
        assert body["layers"] is None


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM"])
def test_a_picture_in_three_ways_and_every_format(client: FlaskClient, description: Any, kind: str) -> None:
    content = encode(IMAGE, kind) if kind != "WEBP" else encode_lossless(IMAGE)
    form = {"image": (io.BytesIO(content), "digit.bin")}
    ways: list[dict[str, Any]] = [
        {"data": content, "content_type": "image/whatever"},
        {"data": form, "content_type": "multipart/form-data"},
        {"json": {"image": base64.b64encode(content).decode()}},
        {"json": {"image": f"data:image/png;base64,{base64.b64encode(content).decode()}"}},
        {"json": {"pixels": IMAGE.tolist()}},
        {"json": {"pixels": [(IMAGE / 255).tolist()]}},
    ]
    answers = [check(client.post("/api/predict", **way), description, "/api/predict", "post") for way in ways]
    shares = [answer["architectures"][1]["probabilities"] for answer in answers]
    assert shares[1:] == shares[:-1]


def encode_lossless(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def test_architectures_and_layers_that_are_asked_for(client: FlaskClient, description: Any) -> None:
    body = check(
        post(client, encode(IMAGE), query="?architecture=means&layers=means"), description, "/api/predict", "post"
    )
    assert [net["name"] for net in body["architectures"]] == ["means"]
    sight, relu, head = body["layers"]["layers"]
    assert (sight["layer"], sight["kind"], sight["output_shape"]) == ("sight", "Conv2d", [2, 28, 28])
    maps = np.frombuffer(base64.b64decode(relu["pixels"]), np.uint8).reshape(relu["shape"])
    expected = np.rint((IMAGE - IMAGE.min()) / np.ptp(IMAGE) * 255)
    assert np.abs(maps[0].astype(int) - expected).max() <= 1, "the net shows itself the image"
    assert not maps[1].any()
    assert (head["output_shape"], head["shape"]) == ([10], [10, 1, 1])


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"data": b""}, 422, "it is empty"),
        ({"data": b"no picture at all"}, 422, "it is no PNG"),
        ({"data": encode(IMAGE)[:200]}, 422, "The picture cannot be used"),
        ({"data": encode(np.full((40, 40), 9))}, 422, "nothing is drawn on it"),
        ({"data": encode(np.zeros((1, 4_097)))}, 422, "4,097×1 pixels, more than 4,096 a side"),
        ({"data": b"x", "content_type": "text/html"}, 415, "Content type 'text/html' is not read"),
        ({"data": encode(IMAGE), "query_string": "architecture=mean"}, 400, "Did you mean 'means'?"),
        ({"data": encode(IMAGE), "query_string": "layers=means&layers=means"}, 400, "give 'layers' once"),
        ({"data": encode(IMAGE), "query_string": "file=/etc/passwd"}, 400, "No parameter 'file'"),
        ({"data": b"{", "content_type": "application/json"}, 400, "it is no JSON"),
        ({"data": b"[" * 100_000, "content_type": "application/json"}, 400, "it is no JSON"),
        ({"json": []}, 400, "no object"),
        ({"json": {"image": 7}}, 400, "'image' is no text"),
        ({"json": {"image": "*"}}, 400, "'image' is no base64"),
        ({"json": {"image": "", "pixels": []}}, 400, "no object"),
        ({"json": {"pixels": [[1, 2], [3]]}}, 400, "differ in length"),
        ({"json": {"pixels": "text"}}, 400, "no list of rows"),
        ({"json": {"pixels": [[10**400]]}}, 400, "pixels"),
        ({"json": {"pixels": [[1, 300]]}}, 422, "300"),
        ({"json": {"pixels": [[0] * 5_000]}}, 422, "more than 4,096 a side"),
        ({"data": {"other": (io.BytesIO(b"x"), "x")}, "content_type": "multipart/form-data"}, 400, "called 'image'"),
        ({"data": {"image": "text"}, "content_type": "multipart/form-data"}, 400, "called 'image'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_line(
    client: FlaskClient, description: Any, given: dict[str, Any], code: int, said: str
) -> None:
    given = given if "json" in given else {"content_type": "application/octet-stream"} | given
    response = client.post("/api/predict", **given)
    body = check(response, description, "/api/predict", "post")
    assert response.status_code == code
    assert said in body["error"]
    assert "\n" not in body["error"]


def test_a_body_that_is_too_long_is_not_read(client: FlaskClient, description: Any) -> None:
    response = post(client, b"x" * ((4 << 20) + 1))
    assert response.status_code == 413
    check(response, description, "/api/predict", "post")


@pytest.mark.parametrize(
    ("path", "method", "code"),
    [("/nothing", "get", 404), ("/page/../app.py", "get", 404), ("/page/%2e%2e%2fapp.py", "get", 404),
     ("/page/app.py", "get", 404),
     ("/api/predict", "get", 405), ("/healthz", "post", 405), ("/report", "get", 404)],
)  # fmt: skip
def test_other_paths_and_methods_are_told_as_json(client: FlaskClient, path: str, method: str, code: int) -> None:
    response = getattr(client, method)(path)
    assert response.status_code == code
    assert list(response.get_json()) == ["error"]
    if code == 405:
        assert "Allow" in response.headers


def test_every_answer_has_the_headers_and_pages_a_strict_policy(client: FlaskClient) -> None:
    for path in ("/", "/page/main.js", "/page/playground.css", "/api/architectures", "/healthz", "/nothing"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    page = client.get("/").get_data(as_text=True)
    assert "<script>" not in page
    assert "style=" not in page
    assert "http" not in page.replace("http-equiv", ""), "nothing from outside"


def test_another_name_for_this_machine_is_not_answered(client: FlaskClient) -> None:
    for host, code in (("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example", 400)):
        assert client.get("/api/architectures", headers={"Host": host}).status_code == code


def test_the_report_is_shown_with_its_own_script_alone(results: Path) -> None:
    from bench.deploy.serving.app import create_app
    from bench.deploy.serving.limits import Limits
    from bench.deploy.serving.playground import Playground

    script = b"document.title = 'ours'"
    (results / "report.html").write_bytes(b"<!doctype html><script>" + script + b"</script>")
    found = create_app(Playground(options_for(results), UseOptions(), Limits())).test_client().get("/report")

    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in found.headers["Content-Security-Policy"]
    assert found.status_code == 200


def test_an_address_that_asks_too_often_is_told_to_wait(playground: Playground, description: Any) -> None:
    from bench.deploy.serving.app import create_app

    client = create_app(playground, is_loopback=False).test_client()
    codes = [
        client.get("/api/architectures", environ_base={"REMOTE_ADDR": "203.0.113.5"}).status_code for _ in range(60)
    ]
    assert codes[:40] == [200] * 40
    assert 429 in codes
    refused = client.get("/api/architectures", environ_base={"REMOTE_ADDR": "203.0.113.5"})
    check(refused, description, "/api/architectures")
    assert int(refused.headers["Retry-After"]) >= 1
    assert client.get("/healthz", environ_base={"REMOTE_ADDR": "203.0.113.5"}).status_code == 200
    assert client.get("/api/architectures", environ_base={"REMOTE_ADDR": "203.0.113.6"}).status_code == 200
    assert all(client.get("/healthz").status_code == 200 for _ in range(50)), "this machine's own are not counted"


def test_our_own_fault_is_told_without_its_traceback(
    playground: Playground, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from bench.deploy.serving import app

    monkeypatch.setattr(app, "answer", lambda *_words, **_named: 1 / 0)
    response = post(app.create_app(playground).test_client(), encode(IMAGE))
    assert (response.status_code, response.get_json()) == (
        500, {"error": "A fault of the server; its output has the traceback."},
    )  # fmt: skip
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_takes_too_long_is_given_up(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.deploy.serving import app
    from bench.deploy.serving.limits import Deadline

    monkeypatch.setattr(app, "Deadline", lambda _seconds: Deadline(-1.0))
    response = post(app.create_app(playground).test_client(), encode(IMAGE))
    assert response.status_code == 503
    assert "more than 5 s" in response.get_json()["error"]


def test_examples_are_training_images_of_each_class_and_near_the_data(
    client: FlaskClient, playground: Playground
) -> None:
    examples = client.get("/api/examples").get_json()["examples"]
    assert [each["label"] for each in examples] == list("0123456789")
    own = {DATA.pool_images[place].tobytes() for place in np.flatnonzero(DATA.pool_labels == 4)}
    assert base64.b64decode(examples[4]["pixels"]) in own
    familiarity = playground.current().familiarity
    assert familiarity is not None
    shown = np.stack([pixels for _, pixels in playground.current().examples])
    assert (familiarity.measure(shown) > familiarity.bound).all()


def test_what_is_not_like_the_data_is_said(client: FlaskClient) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28))
    image = post(client, json.dumps({"pixels": noise.tolist()}), content_type="application/json").get_json()["image"]
    assert image["far"] is True
    assert image["why"] == "its background is as strong as what is drawn on it"
    letter = np.zeros((28, 28), dtype=int)
    letter[4:24, 4:24:3] = 255  # a comb
    image = post(client, json.dumps({"pixels": letter.tolist()}), content_type="application/json").get_json()["image"]
    assert image["far"] is True
    assert image["why"].startswith(f"its highest correlation with an image of the data is {image['similarity']:.2f}")
    near = post(client, encode(IMAGE)).get_json()["image"]
    assert (near["far"], near["why"]) == (False, "")


def test_pictures_are_decoded_two_at_a_time(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that decode large pictures at once would hold over a gigabyte."""
    loaded, inside, most = playground.current(), 0, 0
    full, go_on = threading.Barrier(3), threading.Event()

    def decode(_content: bytes) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if not go_on.is_set():
            full.wait(60)  # the third is this test, once two are within
            go_on.wait(60)
        inside -= 1

    monkeypatch.setattr(loaded.preparer, "prepare_picture", decode)
    threads = [threading.Thread(target=playground.prepare, args=(b"", loaded)) for _ in range(8)]
    for thread in threads:
        thread.start()
    full.wait(60)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert most <= 2
