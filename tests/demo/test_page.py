"""The page in a browser: Debian's chromium by playwright, with no other host in reach of it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from threading import Thread

import pytest
from clips import gradient, write_media
from trailers import clip

pytest.importorskip("flask", reason="the extra 'demo' is not installed")
pytest.importorskip("waitress", reason="the extra 'demo' is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on PATH (Debian: apt-get install chromium)"),
]


@pytest.fixture
def address(recommender, monkeypatch) -> Iterator[str]:
    """Where the command's own server listens."""
    from recbole_mm.cli.demo import create_server

    monkeypatch.setattr("recbole_mm.inference.load.load", lambda checkpoint, data_path: recommender)
    server = create_server(argparse.Namespace(checkpoint="", data_path=None, host="127.0.0.1", port=0))
    Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}/"
    server.close()


@pytest.fixture
def errors() -> list[str]:
    """What the page complained of; a test that provokes something takes it out."""
    return []


@pytest.fixture
def page(request, address, errors) -> Iterator[playwright.Page]:
    """The page, loaded. At the end: nothing was asked of another host, and neither error nor alert was seen."""
    asked = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(**getattr(request, "param", {"viewport": {"width": 1400, "height": 1000}}))
        page.set_default_timeout(60_000)
        playwright.expect.set_options(timeout=60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.on("dialog", lambda dialog: (errors.append(f"alert: {dialog.message}"), dialog.dismiss()))
        page.goto(address)
        playwright.expect(page.locator("#recommended li")).to_have_count(10)
        yield page
        browser.close()
    assert errors == []
    assert asked and [url for url in asked if not url.startswith((address, "data:"))] == []


def titles(page) -> list[str]:
    return page.locator("#recommended .title").all_inner_texts()


def changed(page, before: list[str]) -> list[str]:
    """The titles recommended, once they are others."""
    page.wait_for_function(
        "before => [...document.querySelectorAll('#recommended .title')].map(t => t.innerText).join() !== before",
        arg=",".join(before),
    )
    return titles(page)


def test_two_movies_give_a_list_and_a_modality_changes_it(page, recommender):
    popular = titles(page)
    assert "Nothing chosen yet" in page.locator("#summary").inner_text()

    page.fill("#search", "movie number 4")
    page.keyboard.press("Enter")  # the first one found
    playwright.expect(page.locator("#liked li")).to_have_text(["Movie number 4 (1994)"])
    first = changed(page, popular)
    page.fill("#search", "NUMBER  7 movie")
    page.locator("#found").get_by_role("button", name="I like it: Movie number 7 (1990)", exact=True).click()
    playwright.expect(page.locator("#liked li")).to_have_count(2)
    both = changed(page, first)
    expected = recommender.recommend_for(["m4", "m7"], k=10)
    assert both == [f"{title} {year}" for title, year in zip(expected["title"], expected["year"])]
    assert page.locator("#recommended .rating").all_inner_texts() == [f"{r:.1f}" for r in expected["rating"]]
    assert "Movie number 4" in page.locator("#recommended .why").first.inner_text()

    page.get_by_label("plot summary").uncheck()
    without = changed(page, both)
    expected = recommender.using(["audio"]).recommend_for(["m4", "m7"], k=10)
    assert without == [f"{title} {year}" for title, year in zip(expected["title"], expected["year"])]
    assert page.locator("#recommended .moved").count() > 0

    page.reload()  # the address holds the choice
    playwright.expect(page.locator("#liked li")).to_have_count(2)
    assert changed(page, []) == without and not page.get_by_label("plot summary").is_checked()
    page.get_by_role("button", name="Start again").click()
    assert changed(page, without) == popular
    assert "#" not in page.url


def test_reasons_and_dislikes_by_keyboard(page):
    page.locator("#recommended .title").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog).to_be_visible()
    assert dialog.locator("#movie-genres li").count() == 3
    assert dialog.locator("#movie-carriers .name").all_inner_texts() == ["popularity"]
    assert dialog.locator("#movie-modalities .name").all_inner_texts() == [
        "plot summary",
        "trailer sound",
        "learned from ratings",
    ]
    page.keyboard.press("Escape")
    playwright.expect(dialog).to_be_hidden()
    before = titles(page)
    page.locator("#recommended li").nth(2).get_by_label("I do not like it").focus()
    page.keyboard.press("Space")
    assert before[2] not in changed(page, before)
    assert page.evaluate("document.activeElement.className") == "disliked", "the focus stays in the list"


def test_what_comes_from_data_and_visitors_is_text(page, address, hostile):
    page.fill("#search", "<img")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#liked li")).to_have_text([f"{hostile} (2026)"])
    playwright.expect(page.locator("#recommended .why b").first).to_have_text(hostile)
    page.fill("#search", "<img src=x onerror=alert(2)> and more")
    playwright.expect(page.locator("#found")).to_have_text("No title contains these words.")

    liked = page.locator("#map .scatterlayer .trace").nth(-1).locator("path.point")  # nothing is disliked
    liked.hover(force=True)
    playwright.expect(page.locator("#map .hoverlayer")).to_contain_text(hostile)
    liked.click(force=True)
    playwright.expect(page.locator("#movie-title")).to_have_text(f"{hostile} (2026)")
    page.goto(f"{address}#like=<img src=x onerror=alert(3)>&like=m4")
    playwright.expect(page.locator("#liked li")).to_have_text(["Movie number 4 (1994)"])
    assert page.locator("img").count() == 0


def test_the_placeholder_is_a_movie_of_the_data(page):
    assert page.get_attribute("#search", "placeholder") == titles(page)[0].rsplit(" ", 1)[0]
    playwright.expect(page.locator("#invent")).to_be_hidden()  # the planted vectors have no encoder


def test_a_summary_of_a_movie_that_does_not_exist(page):
    """What the server says is shown, as text; the answers themselves are tested beside the server."""
    playwright.expect(page.locator("#map .scatterlayer path.point").first).to_be_visible()
    page.evaluate("for (const id of ['invent', 'invent-by-text']) document.getElementById(id).hidden = false")
    answer = {
        **{"read": ["text"], "not_read": ["audio"], "rating": 4.26, "place": 3, "of": 91, "position": [0.0, 0.0]},
        "genres": [{"genre": "<b>Drama</b>", "probability": 0.8}],
        "similar": [{"item_id": "m4", "title": "x", "similarity": 0.9}],
        "own": [],
    }
    asked = []
    page.route("**/api/new", lambda route: (asked.append(route.request.post_data_json), route.fulfill(json=answer)))
    page.get_by_text("Try a movie that does not exist").click()
    page.fill("#invent-text", "A dog learns to fly.")
    page.get_by_role("button", name="What would I say?").click()
    playwright.expect(page.locator("#invented-rating")).to_have_text(
        "Predicted rating 4.3 of 5. It would be number 3 of 91 in your list."
    )
    playwright.expect(page.locator("#invented-genres .name")).to_have_text("<b>Drama</b>")
    playwright.expect(page.locator("#invented-similar .title")).to_have_text("Movie number 4 1994")
    playwright.expect(page.locator("#invented-own")).to_have_text("You have chosen no movie yet.")
    playwright.expect(page.locator("#invented-read")).to_contain_text("Read from the summary: plot summary.")
    playwright.expect(page.locator("#invented-read")).to_contain_text("not installed: trailer sound.")
    wanted = {"liked": [], "disliked": [], "modalities": ["text", "audio"], "summary": "A dog learns to fly."}
    assert asked == [wanted]
    mark = page.locator("#map .scatterlayer .trace").last.locator("path.point")
    playwright.expect(mark).to_have_count(1)
    mark.hover(force=True)
    playwright.expect(page.locator("#map .hoverlayer")).to_contain_text("The new movie<b>Drama</b>")
    with page.expect_response("**/api/new"):
        page.locator("#recommended li").first.get_by_label("I like it").click()
    assert len(asked) == 2 and len(asked[1]["liked"]) == 1, "another choice, another answer"
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_reasons_fit_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 640})
    page.locator("#recommended .title").first.click()
    playwright.expect(page.get_by_role("dialog")).to_be_visible()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] >= 0 and box["y"] + box["height"] <= 640
    assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog'))")
    page.get_by_role("button", name="Close").click()
    playwright.expect(page.get_by_role("dialog")).to_be_hidden()


def test_map_has_every_movie_and_the_page_fits_a_phone(page, recommender):
    points = page.locator("#map .scatterlayer path.point")
    playwright.expect(points).to_have_count(len(recommender.movies) + 10)
    ranks = [text for text in page.locator("#map .scatterlayer text").all_text_contents() if text]
    assert ranks == [str(rank) for rank in range(1, 11)]
    for width in (420, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_refusal_is_shown_as_text(page, errors):
    page.route("**/api/recommend", lambda route: route.fulfill(status=400, json={"error": "<b>no</b>"}))
    page.fill("#search", "movie number 4")
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("alert")).to_have_text("<b>no</b>")
    assert len(errors) == 1 and "400" in errors.pop()


# ---------------------------------------------------------------------- a phone, by touch

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_reasons_on_a_phone_by_touch(page):
    """A sheet at the bottom; what can be touched is 44 pixels high; the page behind stays where it is."""
    page.locator("#recommended .title").nth(3).tap()
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog).to_be_visible()
    box = dialog.bounding_box()
    assert box["x"] == 0 and box["width"] == 390 and box["y"] + box["height"] == pytest.approx(844, abs=1)
    behind = page.evaluate("scrollY")
    swipe(page, box["y"] + box["height"] - 40, -300)
    assert page.evaluate("scrollY") == behind
    close = page.get_by_role("button", name="Close")
    assert min(close.bounding_box()[side] for side in ("width", "height")) >= 44
    like = dialog.get_by_label("I like it")
    assert min(like.bounding_box()[side] for side in ("width", "height")) >= 44
    close.tap()
    playwright.expect(dialog).to_be_hidden()
    page.locator("#recommended .title").nth(3).tap()
    playwright.expect(dialog).to_be_visible()
    page.touchscreen.tap(195, 20)  # beside the sheet
    playwright.expect(dialog).to_be_hidden()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_finger_on_the_map_scrolls_the_page_and_selects_a_movie(page):
    playwright.expect(page.locator("#map .scatterlayer path.point").first).to_be_visible()
    page.evaluate("document.querySelector('#places').scrollIntoView({block: 'center'})")
    before, middle = page.evaluate("scrollY"), page.locator("#map").bounding_box()
    swipe(page, middle["y"] + 150, 150)
    page.wait_for_function("before => scrollY < before - 50", arg=before)
    page.evaluate("document.querySelector('#places').scrollIntoView({block: 'center'})")
    point = page.locator("#map .scatterlayer path.point").first.bounding_box()
    page.touchscreen.tap(point["x"] + 2, point["y"] + 2)
    playwright.expect(page.get_by_role("dialog")).to_be_visible()


def swipe(page, y: float, by: float, x: float = 195) -> None:
    """A finger that moves up or down."""
    session = page.context.new_cdp_session(page)
    points = [[{"x": x, "y": y + by * step / 10}] for step in range(11)]
    for kind, touched in [("touchStart", points[0]), *(("touchMove", one) for one in points[1:]), ("touchEnd", [])]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})
        page.wait_for_timeout(16)
    page.wait_for_timeout(300)


# ---------------------------------------------------------------------- a trailer's file

HOSTILE_NAME = "<img src=x onerror=alert(4)> ..;$(id) ü.mp4"


@pytest.mark.parametrize("recommender", ["trained"], indirect=True)
def test_a_trailer_is_sent_without_its_name_and_shown_as_text(page, tmp_path, errors):
    sent = []
    page.on("request", lambda request: sent.append(request) if "/api/" in request.url else None)
    playwright.expect(page.locator("#map .scatterlayer path.point").first).to_be_visible()
    page.get_by_text("Try a movie that does not exist").click()
    playwright.expect(page.locator("#invent-by-text")).to_be_hidden()  # no encoder of texts

    path = clip(tmp_path / "clip.mp4", 1, 50)
    page.set_input_files("#invent-file", {"name": HOSTILE_NAME, "mimeType": "video/mp4", "buffer": path.read_bytes()})
    page.get_by_role("button", name="What would I say?").click()
    playwright.expect(page.locator("#invented-genres .name").first).to_have_text("Comedy")
    playwright.expect(page.locator("#invented-read")).to_have_text(
        "Read from the trailer: trailer sound, trailer pictures. Everything else is missing."
    )
    playwright.expect(page.locator("#map .scatterlayer .trace").last.locator("path.point")).to_have_count(1)
    for request in sent:
        assert "onerror" not in request.url + str(request.headers) + (request.post_data or "")[:2000]

    silent = write_media(tmp_path / "silent.mp4", gradient(0, 200, 24)).read_bytes()
    page.set_input_files("#invent-file", {"name": HOSTILE_NAME, "mimeType": "", "buffer": silent})
    page.get_by_role("button", name="What would I say?").click()
    playwright.expect(page.locator("#invented-read")).to_contain_text("No trailer sound: the file has no sound track.")

    page.set_input_files("#invent-file", {"name": HOSTILE_NAME, "mimeType": "video/mp4", "buffer": b"no video"})
    page.get_by_role("button", name="What would I say?").click()
    playwright.expect(page.get_by_role("alert")).to_contain_text(f"{HOSTILE_NAME}: the file cannot be decoded")
    assert "400" in errors.pop()

    page.route("**/api/trailer", lambda route: route.fulfill(status=400, json={"error": "Is it a video?"}))
    page.set_input_files("#invent-file", {"name": "y.mp4", "mimeType": "video/mp4", "buffer": b"no video either"})
    page.get_by_role("button", name="What would I say?").click()
    playwright.expect(page.get_by_role("alert")).to_have_text("y.mp4: Is it a video?")
    assert "400" in errors.pop()
    page.evaluate("HTMLInputElement.prototype.__defineGetter__('files', () => [{ name: 'x.mp4', size: 99 * 2 ** 20 }])")
    page.get_by_role("button", name="What would I say?").click()
    playwright.expect(page.get_by_role("alert")).to_have_text("x.mp4: has 99.0 MB, but at most 64.0 MB are read.")
    for width in (390, 1300):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("recommender", ["trained"], indirect=True)
def test_a_file_that_is_being_read_is_not_sent_again(page, tmp_path):
    """Neither when the visitor chooses another movie meanwhile, nor when the same file is chosen again."""
    sent, file = [], tmp_path / "clip.mp4"
    page.on("request", lambda request: sent.append(request.url) if "/api/trailer" in request.url else None)
    file.write_bytes(clip(tmp_path / "made.mp4", 1, 50).read_bytes())
    page.get_by_text("Try a movie that does not exist").click()
    page.set_input_files("#invent-file", file)
    page.evaluate("for (let i = 0; i < 3; i++) document.getElementById('invent-form').requestSubmit()")
    page.set_input_files("#invent-file", file)
    page.evaluate("document.getElementById('invent-form').requestSubmit()")
    playwright.expect(page.locator("#invented-genres .name").first).to_have_text("Comedy")
    playwright.expect(page.get_by_role("button", name="What would I say?")).to_be_enabled()
    assert len(sent) == 1
    assert page.locator("#invent-problem").is_hidden()

    other = clip(tmp_path / "other.mp4", 2, 51)
    page.set_input_files("#invent-file", other)
    page.evaluate("document.getElementById('invent-form').requestSubmit()")
    playwright.expect(page.locator("#invented-genres .name").first).to_have_text("Drama")
    assert len(sent) == 2
