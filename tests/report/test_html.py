from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from results_folder import HOSTILE, REASON, write_results

from recbole_mm.errors import InputError
from recbole_mm.report import html
from recbole_mm.report.html import metrics_table, write_html
from recbole_mm.report.results import read_suites

SUITES = ("rating", "ranking", "cold-item")


class Page(HTMLParser):
    """What of a page the tests look at: tags, text, headings, and the figures by the id of their place."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.figures: dict[str, list[dict]] = {}
        self._place, self._script = "", None
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.ids = {given["id"] for _, given in self.tags if "id" in given}

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        if given.get("class") == "plot":
            self._place = given["id"]
        self._script = given.get("type", "code") if tag == "script" else None

    def handle_data(self, data):
        if self._script == "application/json":
            self.figures.setdefault(self._place, []).append(json.loads(data))
        elif self._script is None:
            self.text += data

    def handle_endtag(self, tag):
        self._script = None


@pytest.fixture
def out(tmp_path):
    return write_results(tmp_path)


@pytest.fixture
def page(out):
    return Page(write_html(out, "planted"))


def test_page_has_every_part(page):
    assert {f"suite-{suite}" for suite in SUITES} | {"confusion", "map", "warm-cold"} <= page.ids
    links = [given["href"] for tag, given in page.tags if tag == "a"]
    assert [link[1:] for link in links] == [*(f"suite-{suite}" for suite in SUITES), "confusion", "map", "warm-cold"]
    places = {f"{suite}-{part}" for suite in SUITES for part in ("bars", "curves")} | {"confusion", "map", "warm-cold"}
    assert set(page.figures) == places
    labels = [given["aria-label"] for tag, given in page.tags if tag == "table"]
    assert len(labels) == 7 and sum("paired tests" in label for label in labels) == 1
    source = page.source
    order = ["rating: means of runs", 'id="rating-bars"', 'id="rating-curves"', "rating: costs of runs"]
    assert [source.index(place) for place in order] == sorted(source.index(place) for place in order)


def test_charts_come_before_the_table_of_tests(page):
    assert page.source.index("ranking-curves-figure") < page.source.index("ranking: paired tests")
    for said in ("2026-11-21 to 2026-11-22", "python 3.11.7, torch 2.13.0", "--dataset=planted --suite=cold-item"):
        assert said in page.text
    assert "cost_by_size" not in page.text and "suite=results" not in page.text


def test_what_comes_from_data_is_text_and_never_markup(page):
    tags = [tag for tag, _ in page.tags]
    assert "img" not in tags and HOSTILE in page.text and REASON in page.text
    assert all("onerror" not in given for _, given in page.tags)
    assert tags.count("script") == sum(map(len, page.figures.values())) + 2
    labels = {text for figure in page.figures["map"] for trace in figure["data"] for text in trace["text"]}
    assert "&lt;img src=x onerror=alert(1)&gt;<br>Action, Sci-Fi &amp; &lt;more&gt;" in labels
    assert not any("<img" in label for label in labels)


def test_page_asks_for_nothing_from_anywhere(page):
    assert not [given for _, given in page.tags if "src" in given or given.get("href", "#")[0] != "#"]
    (policy,) = [given["content"] for _, given in page.tags if given.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_tables_show_means_deviations_the_best_and_failures(out):
    rating, ranking, _ = read_suites(out)
    table = metrics_table(rating)
    lines = {tuple(cell.text for cell in cells[:2]): cells for _, cells in table.lines}
    rmse = [name for name, *_ in table.columns].index("rmse")
    cell = lines["MMASP", "mean of 2 folds"][rmse]
    assert (cell.text, cell.deviation, cell.best) == ("0.9650", "0.0071", True)
    assert not lines["Bias", "mean of 2 folds"][rmse].best
    assert lines["MMASP", "u1"][rmse].text == "0.9150" and lines["MMASP", "u1"][rmse].best
    assert {cells[0].text: ours for ours, cells in table.lines} == {"Bias": False, "MMASP": True}

    lines = {cells[0].text: cells for _, cells in metrics_table(ranking).lines}
    assert lines[HOSTILE][2].failure and lines[HOSTILE][2].text == f"failed: {REASON}"
    assert lines["EASE"][3].text == "0.4000" and lines["EASE"][3].best and not lines["EASE"][3].deviation
    assert lines["EASE"][2].text == "–" and lines["EASE"][2].value is None
    assert lines["MMASP"][2].best and not lines["MMFS"][2].best


def test_a_line_of_the_tests_begins_with_the_name_of_its_row(out):
    path = out / "ranking.tests.csv"
    tests = pd.read_csv(path)
    tests.insert(0, "protocol", "ranking")
    tests.to_csv(path, index=False)
    (table,) = [table for suite in read_suites(out) if (table := html.tests_table(suite)) is not None]
    assert [name for name, *_ in table.columns][:2] == ["row", "protocol"]
    assert [cells[0].text for _, cells in table.lines] == list(tests["row"])


def test_a_suite_of_failures_alone_is_shown(tmp_path):
    lines = [{"row": "MMFS", "protocol": "u1", "seed": seed, "failure": "no memory"} for seed in (1, 2)]
    pd.DataFrame(lines).to_csv(tmp_path / "rating.csv", index=False)
    page = Page(write_html(tmp_path, "planted"))
    assert "failed: no memory" in page.text and "No run of this suite has a metric" in page.text


def test_one_failed_run_of_several_is_counted(out):
    path = out / "rating.csv"
    table = pd.read_csv(path, dtype={"failure": str})
    table.loc[3, ["failure", "rmse"]] = ["no memory", None]
    table.to_csv(path, index=False)
    assert "failed (1 of 4 runs): no memory" in Page(write_html(out, "planted")).text


@pytest.mark.parametrize("absent", ["runs", "cell"])
def test_what_needs_absent_runs_says_which_command_makes_them(out, absent):
    if absent == "runs":
        shutil.rmtree(out / "runs")
    else:
        for suite in SUITES:
            pd.read_csv(out / f"{suite}.csv").drop(columns="cell").to_csv(out / f"{suite}.csv", index=False)
    page = Page(write_html(out, "planted"))
    assert set(page.figures) == {"rating-bars", "ranking-bars", "cold-item-bars", "warm-cold"}
    made = [f"This command makes them: recbole-mm benchmark --dataset=planted --suite={suite}" for suite in SUITES]
    assert [page.text.count(command) for command in made] == [1, 3, 1]  # ranking: curves, confusion and map


def test_outcomes_of_a_suite_on_the_validation_part_are_not_shown(out):
    for name in ("rating", "cold-item"):
        (out / f"{name}.csv").unlink()
    (out / "ranking.csv").rename(out / "ablation.csv")
    page = Page(write_html(out, "planted"))
    assert "validation part" in page.text and set(page.figures) == {"ablation-bars", "ablation-curves"}


def write_suite(out, name, lines):
    pd.DataFrame([{"seed": 1, "failure": None, **line} for line in lines]).to_csv(out / f"{name}.csv", index=False)


def test_lines_that_no_run_of_a_model_made_are_in_the_table_alone(out):
    (out / "runs" / "MMASP-tool.json").write_text('{"lines": []}')
    lines = [
        {"row": f"MMASP: {ratio} %", "rmse": 0.9, "protocol": "ranking", "cell": "MMASP-tool"} for ratio in (0, 50)
    ]
    write_suite(out, "missing", lines)
    page = Page(write_html(out, "planted"))
    assert "MMASP: 50 %" in page.text and "missing-bars" in page.figures and "missing-curves" not in page.figures
    assert "MMASP: 50 %" not in json.dumps(page.figures["confusion"])


def test_missing_vectors_have_a_figure_of_lines(out):
    rows = {
        "MMASP, at test time: nothing": 0.9,
        "MMASP, at test time: all 50%": 1.0,
        "MMASP, before training 50 %": 0.95,
    }
    lines = [{"row": row, "rmse": value, "protocol": "ranking"} for row, value in rows.items()]
    lines.append({"row": "BM3, before training 50 %, zeros, defaults", "ndcg@10": 0.2, "protocol": "ranking"})
    write_suite(out, "missing", lines)
    page = Page(write_html(out, "planted"))
    rmse, ndcg = page.figures["missing-falls"]
    assert [(trace["name"], trace["mode"]) for trace in rmse["data"]] == [("MMASP", "lines+markers")] * 2
    assert [trace["name"] for trace in ndcg["data"]] == ["BM3, defaults, zeros"]
    assert "rating-falls" not in page.figures


def test_costs_are_bars_where_they_are_the_point(out):
    costs = {"parameters": 605800, "epoch_seconds": 0.5, "peak_mb": 560.0, "pairs_per_second": 1e6}
    write_suite(out, "cost", [{"row": "MMFS", "protocol": "u1", "rmse": 0.9, **costs}])
    page = Page(write_html(out, "planted"))
    shown = {figure["layout"]["xaxis"]["title"]["text"].split(" ")[0] for figure in page.figures["cost-bars"]}
    assert shown == {"rmse", *costs} and "605,800" in page.text and "1,000,000" in page.text
    assert all("parameters" not in json.dumps(figure) for figure in page.figures["rating-bars"])


def test_a_row_of_one_fold_is_warm_by_that_fold(out):
    lines = [{"row": "all modalities", "protocol": name, "rmse": 0.9} for name in ("u1", "cold-item")]
    write_suite(out, "modalities", lines)
    figures = Page(write_html(out, "planted")).figures["warm-cold"]
    names = [[trace["name"] for trace in figure["data"] if "name" in trace] for figure in figures]
    assert names == [["mean of 2 folds", "ranking", "cold-item"], ["ranking", "cold-item"], ["u1", "cold-item"]]


def test_the_short_form_of_a_suite_names_its_command(out):
    (out / "rating.csv").rename(out / "rating-quick.csv")
    assert "--suite=rating --quick" in Page(write_html(out, "planted")).text


def test_broken_files_are_named(out, tmp_path):
    result = next((out / "runs").glob("MMASP-ranking-1*.json"))
    result.write_text("{")
    with pytest.raises(InputError, match=r"MMASP-ranking-1.*not the result of a run"):
        write_html(out, "planted")
    (out / "rating.csv").write_text("")
    with pytest.raises(InputError, match=r"rating\.csv: is not a table"):
        write_html(out, "planted")
    with pytest.raises(InputError, match="has no table of a suite"):
        write_html(tmp_path / "runs", "planted")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on PATH (Debian: apt-get install chromium)")
def test_no_table_of_the_results_runs_off_a_page_of_1300_pixels(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    out = tmp_path / "results"
    shutil.copytree(Path(__file__).resolve().parents[2] / "results" / "ml-100k-mm", out)
    path = write_html(out, "ml-100k-mm")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 1200})
        page.set_default_timeout(180_000)
        page.goto(path.as_uri())
        sizes = "tables => tables.map(one => [one.ariaLabel, one.scrollWidth - one.clientWidth])"
        too_wide = [(label, more) for label, more in page.locator(".wide").evaluate_all(sizes) if more > 0]
        browser.close()
    assert too_wide == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on PATH (Debian: apt-get install chromium)")
def test_page_works_in_a_browser_without_a_network(out):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path, requests, errors = write_html(out, "planted"), [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 900, "height": 1200}, color_scheme="dark")
        page.set_default_timeout(180_000)  # a busy machine draws slowly
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.goto(path.as_uri())

        figures = page.locator(".figure")
        assert figures.count() == 9
        for i in range(figures.count()):
            assert figures.nth(i).locator("svg.main-svg").count() > 0, f"figure {i} is not drawn"
        assert page.locator("#rating-bars .bars .point").count() == 4
        assert page.locator("#rating-bars .errorbar").count() == 4
        assert page.locator("#confusion .heatmaplayer image").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 900, "the page itself need not be scrolled"

        # The best first, failures and what has no value last, at the second time turned; by mouse and by keyboard.
        header = page.locator("#suite-ranking table").first.locator("th", has_text="ndcg@10")
        rows = page.locator("#suite-ranking table").first.locator("tbody th")
        assert rows.all_inner_texts() == ["MMASP", "MMFS", "EASE", HOSTILE]
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == "descending"
        assert rows.all_inner_texts() == ["EASE", "MMASP", "MMFS", HOSTILE]
        page.keyboard.press("Enter")
        assert header.get_attribute("aria-sort") == "ascending"
        assert rows.all_inner_texts() == ["MMASP", "MMFS", "EASE", HOSTILE]

        bars = page.locator("#ranking-bars")
        bars.locator("select").select_option("genre_map")
        assert bars.locator(".xtitle").inner_html() == "genre_map" and bars.locator(".bars .point").count() == 2
        browser.close()
    assert requests == [path.as_uri()] and not errors
