// What visitors choose, the list they get, and why. Everything that comes from data is set as text, never as markup.
import { drawMap, markMap } from "./map.js";

const LABELS = {
  text: "plot summary", words: "plot words", audio: "trailer sound", avf: "trailer look", mise: "camera work",
  meta: "cast and crew", facts: "year and awards", ratings: "what ratings taught",
};
const label = (modality) => LABELS[modality] ?? modality;
const place = (id) => document.getElementById(id);
const MAX_FOUND = 8, MAX_GENRES = 3;

const chosen = { liked: [], disliked: [], off: new Set() };
let catalogue, movies, ratings = null, shown = [], asked = 0;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// New content of a list; the keyboard's focus stays at its place.
function refill(list, rows) {
  const buttons = () => [...list.querySelectorAll("button")];
  const at = buttons().indexOf(document.activeElement);
  list.replaceChildren(...rows);
  if (at >= 0) (buttons()[at] ?? buttons().at(-1) ?? place("search")).focus();
}

async function ask(path, question) {
  const options = question && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question),
  };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error("The server does not answer; is recbole-mm demo still running?");
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const question = () => ({
  liked: chosen.liked, disliked: chosen.disliked,
  modalities: catalogue.modalities.filter((name) => !chosen.off.has(name)),
});

async function attempt(work) {
  try {
    await work();
    place("problem").hidden = true;
  } catch (error) {
    place("problem").textContent = error.message;
    place("problem").hidden = false;
  }
}

// ------------------------------------------------------------------ movies and what is chosen

const withYear = (movie) => (movie.year === null ? movie.title : `${movie.title} (${movie.year})`);

// Case and accents do not matter, nor does the place of words: "usual suspects" finds "Usual Suspects, The".
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function readMovies({ item_id, title, year }) {
  return new Map(item_id.map((id, row) => {
    const movie = { id, row, title: title[row], year: year[row] };
    return [id, { ...movie, plain: plain(withYear(movie)) }];
  }));
}

function search(text) {
  const words = plain(text).split(/[\s,()]+/).filter(Boolean);
  if (!words.length) return [];
  const tests = [
    (title) => title.startsWith(words[0] + " "),
    (title) => title.startsWith(words[0]),
    (title) => words.every((word) => (" " + title).includes(" " + word)),
    () => true,
  ];
  const order = (movie) => tests.findIndex((test) => test(movie.plain));
  return [...movies.values()]
    .filter((movie) => words.every((word) => movie.plain.includes(word)))
    .sort((one, other) => order(one) - order(other) || one.plain.length - other.plain.length)
    .slice(0, MAX_FOUND);
}

function choose(list, id) {
  const had = chosen[list].includes(id);
  for (const name of ["liked", "disliked"]) chosen[name] = chosen[name].filter((other) => other !== id);
  if (!had) chosen[list].push(id);
  return update();
}

// The choice is part of the address: a reload keeps it, and a link passes it on.
function remember() {
  const parts = { like: chosen.liked, dislike: chosen.disliked, off: [...chosen.off] };
  const hash = new URLSearchParams();
  for (const [name, values] of Object.entries(parts)) for (const value of values) hash.append(name, value);
  history.replaceState(null, "", String(hash) ? `#${hash}` : location.pathname);
}

function recall() {
  const hash = new URLSearchParams(location.hash.slice(1));
  chosen.liked = [...new Set(hash.getAll("like"))].filter((id) => movies.has(id));
  chosen.disliked = [...new Set(hash.getAll("dislike"))].filter((id) => movies.has(id) && !chosen.liked.includes(id));
  chosen.off = new Set(hash.getAll("off").filter((name) => catalogue.modalities.includes(name)));
}

function chooseButtons(movie) {
  const button = (list, sign, what) => {
    const made = element("button", { type: "button", className: list, textContent: sign, title: what });
    made.ariaPressed = String(chosen[list].includes(movie.id));
    made.ariaLabel = `${what}: ${withYear(movie)}`;
    made.onclick = () => choose(list, movie.id);
    return made;
  };
  return element("span", { className: "choose" }, button("liked", "♥", "I like it"), button("disliked", "✕", "I do not like it"));
}

function titleButton(movie) {
  const year = element("span", { className: "year", textContent: movie.year ?? "" });
  return element("button", { type: "button", className: "title", onclick: () => show(movie.id) }, movie.title + " ", year);
}

// ------------------------------------------------------------------ drawing

const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const predicted = (movie) => (ratings ? ratings[movie.row].toFixed(1) : "");

function drawFound() {
  const found = search(place("search").value);
  const rows = found.map((movie) => element("li", {},
    titleButton(movie), element("span", { className: "predicted", textContent: predicted(movie), title: "predicted rating" }),
    chooseButtons(movie)));
  if (!found.length && place("search").value.trim()) rows.push(element("li", { className: "note", textContent: "No title has these words." }));
  refill(place("found"), rows);
}

function drawChosen() {
  for (const [list, hint] of [["liked", "Nothing yet. Search, or take a ♥ from the list."], ["disliked", "Nothing yet."]]) {
    const chips = chosen[list].map((id) => {
      const movie = movies.get(id);
      const chip = element("button", { type: "button", textContent: withYear(movie), onclick: () => choose(list, id) });
      chip.ariaLabel = `Take away: ${withYear(movie)}`;
      return element("li", {}, chip);
    });
    refill(place(list), chips.length ? chips : [element("li", { className: "none", textContent: hint })]);
  }
  place("clear").hidden = !chosen.liked.length && !chosen.disliked.length && !chosen.off.size;
}

function drawModalities() {
  place("modalities").replaceChildren(...catalogue.modalities.map((name) => {
    const box = element("input", { type: "checkbox", checked: !chosen.off.has(name), value: name });
    box.onchange = () => {
      box.checked ? chosen.off.delete(name) : chosen.off.add(name);
      update();
    };
    return element("label", { title: name }, box, label(name));
  }));
}

function movedSince(before, id, rank) {
  if (!before.length) return "";
  const was = before.indexOf(id) + 1;
  if (!was) return element("span", { className: "moved new", textContent: "new" });
  if (was === rank) return "";
  const up = was > rank;
  return element("span", { className: `moved ${up ? "up" : "down"}`, textContent: `${up ? "▲" : "▼"} ${Math.abs(was - rank)}` });
}

function ratingOf(value) {
  if (value === null) return element("span", { className: "rating" });
  const [lowest, highest] = catalogue.rating_scale;
  const bar = element("span");
  bar.style.width = `${(100 * (value - lowest)) / (highest - lowest)}%`;
  const shownAs = element("span", { className: "rating", title: "predicted rating" }, value.toFixed(1), element("span", { className: "track" }, bar));
  shownAs.role = "img";
  shownAs.ariaLabel = `predicted rating ${value.toFixed(1)} of ${highest}`;
  return shownAs;
}

function whyOf(row) {
  const reasons = row.because.map((liked) => element("b", { textContent: liked.title }));
  if (row.modality) reasons.push(`its ${label(row.modality)}`);
  const listed = reasons.flatMap((reason, i) => [i ? ", " : "because of ", reason]);
  return element("p", { className: "why" }, ...listed);
}

function drawRecommended(rows) {
  const before = shown;
  shown = rows.map((row) => row.item_id);
  refill(place("recommended"), rows.map((row) => {
    const movie = movies.get(row.item_id);
    const genres = row.genres.slice(0, MAX_GENRES).map(({ genre, probability }) => `${genre} ${percent(probability)}`).join(", ");
    return element("li", {},
      element("span", { className: "rank" }, String(row.rank), movedSince(before, row.item_id, row.rank)),
      element("div", { className: "about" }, titleButton(movie), element("p", { className: "genres", textContent: genres }), whyOf(row)),
      ratingOf(row.rating), chooseButtons(movie));
  }));
  const nobody = !chosen.liked.length && !chosen.disliked.length;
  const start = nobody
    ? "Nothing chosen yet, so this is what suits most people. Choose two movies to make it yours."
    : "Best first by the model's score; the number is the rating it predicts.";
  const blind = chosen.off.size === catalogue.modalities.length ? " The model sees no content now, only what ratings taught." : "";
  place("summary").textContent = rows.length ? `${start}${blind} Select a title for the reasons.` : "No movie is left to recommend.";
}

async function update() {
  remember();
  drawChosen();
  drawFound();
  await attempt(async () => {
    const mine = ++asked;
    const answer = await ask("/api/recommend", question());
    if (mine !== asked) return; // a later choice is being answered
    ratings = answer.ratings;
    drawRecommended(answer.recommendations);
    drawFound();
    drawMarks();
  });
}

// ------------------------------------------------------------------ one movie

// A bar for each row; `most` is the value of a full one, by default the largest.
function bars(list, rows, most = Math.max(...rows.map((row) => Math.abs(row.value)), 1e-9)) {
  const signed = rows.some((row) => row.value < 0);
  const drawn = rows.map(({ name, value, text, absent }) => {
    const bar = element("span", { className: value < 0 ? "minus" : "" });
    const width = (Math.abs(value) / most) * (signed ? 50 : 100);
    bar.style.width = `${width}%`;
    bar.style.left = `${!signed ? 0 : value < 0 ? 50 - width : 50}%`;
    return element("li", { className: absent ? "absent" : "" },
      element("span", { className: "name", textContent: name, title: name }), element("span", { className: "track" }, bar),
      element("span", { className: "value", textContent: text }));
  });
  place(list).replaceChildren(...drawn);
}

const signedText = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

async function show(id) {
  const movie = movies.get(id);
  await attempt(async () => {
    const answer = await ask("/api/explain", { ...question(), item: id });
    place("movie-title").textContent = withYear(movie);
    place("movie-rating").replaceChildren(answer.rating === null ? "" : `Predicted rating ${answer.rating.toFixed(2)} of ${catalogue.rating_scale[1]}. `);
    const buttons = chooseButtons(movie);
    buttons.addEventListener("click", () => place("movie").close());
    place("movie-choose").replaceChildren(buttons);
    bars("movie-genres", answer.genres.map((row) => ({ name: row.genre, value: row.probability, text: percent(row.probability) })), 1);
    const parts = answer.movies.map((row) => ({ name: `${row.liked ? "♥" : "✕"} ${row.title}`, value: row.contribution, text: signedText(row.contribution) }));
    if (answer.popularity !== null) parts.push({ name: "its popularity", value: answer.popularity, text: signedText(answer.popularity) });
    bars("movie-carriers", parts);
    place("movie-method").textContent = answer.movies_method === "exact"
      ? `Exact: these sum to its score, ${answer.score.toFixed(2)}.`
      : "An approximation: what the score loses when that movie is left out.";
    bars("movie-modalities", answer.modalities.map((row) => ({
      name: label(row.modality), value: row.difference, absent: !row.present, text: row.present ? signedText(row.difference) : "none",
    })));
    if (!place("movie").open) place("movie").showModal();
    place("movie").scrollTop = 0;
  });
}

// ------------------------------------------------------------------ start

const drawMarks = () => markMap(place("map"), { recommended: shown, liked: chosen.liked, disliked: chosen.disliked }, movies);

place("search").oninput = drawFound;
place("search").onkeydown = (event) => {
  const [first] = search(place("search").value);
  if (event.key === "Enter" && first && !chosen.liked.includes(first.id)) {
    place("search").value = "";
    choose("liked", first.id);
  } else if (event.key === "Escape") {
    place("search").value = "";
    drawFound();
  } else if (event.key === "ArrowDown") {
    place("found").querySelector("button")?.focus();
    event.preventDefault();
  }
};
place("clear").onclick = () => {
  chosen.liked = [];
  chosen.disliked = [];
  chosen.off.clear();
  drawModalities();
  update();
  place("search").focus();
};
place("movie").onclick = (event) => {
  if (event.target === place("movie")) place("movie").close(); // the backdrop
};

await attempt(async () => {
  catalogue = await ask("/api/catalogue");
  movies = readMovies(catalogue.movies);
  place("about").textContent = `${catalogue.model} on ${catalogue.dataset}, ${movies.size.toLocaleString("en")} movies`;
  recall();
  drawModalities();
  await update();
});
window.onhashchange = () => {
  recall();
  drawModalities();
  update();
};
await attempt(async () => {
  let positions = await ask("/api/map");
  while (!positions.x) { // another page waits for it already
    await new Promise((wake) => setTimeout(wake, 1000));
    positions = await ask("/api/map");
  }
  await drawMap(place("map"), positions, movies, show);
  drawMarks();
});
