// Movies that visitors choose, the list they get, and the reasons. Text from data is always set as text, never as markup.
import { drawMap, markMap } from "./map.js";

const LABELS = {
  text: "plot summary", words: "plot words", audio: "trailer sound", avf: "trailer look", mise: "camera work",
  video: "trailer pictures", meta: "cast and crew", facts: "year and awards", ratings: "learned from ratings",
};
const label = (modality) => LABELS[modality] ?? modality;
const byId = (id) => document.getElementById(id);
const MAX_FOUND = 8, MAX_GENRES = 3;

const chosen = { liked: [], disliked: [], off: new Set() };
// A movie that does not exist: its file, the promise of the file's numbers, and the point on the map.
const invention = { file: null, trailer: null, point: null, lastRequest: 0 };
let catalogue, movies, ratings = null, shown = [], lastRequest = 0;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Replace the rows of a list; the keyboard focus stays at its place.
function refill(list, rows) {
  const buttons = () => [...list.querySelectorAll("button")];
  const at = buttons().indexOf(document.activeElement);
  list.replaceChildren(...rows);
  if (at >= 0) (buttons()[at] ?? buttons().at(-1) ?? byId("search")).focus();
}

const post = (type, body) => ({ method: "POST", headers: { "Content-Type": type }, body });

async function ask(path, options) {
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error("The server does not answer; is recbole-mm demo still running?");
  const answer = await response.json().catch(() => ({ error: `The server answers with status ${response.status}.` }));
  if (!response.ok || answer.error) throw new Error(answer.error);
  return answer;
}

const tell = (path, question) => ask(path, post("application/json", JSON.stringify(question)));

const question = () => ({
  liked: chosen.liked, disliked: chosen.disliked,
  modalities: catalogue.modalities.filter((name) => !chosen.off.has(name)),
});

async function attempt(work, where = "problem") {
  try {
    await work();
    byId(where).hidden = true;
  } catch (error) {
    byId(where).textContent = error.message;
    byId(where).hidden = false;
  }
}

// ------------------------------------------------------------------ movies and choices

const withYear = (movie) => (movie.year === null ? movie.title : `${movie.title} (${movie.year})`);

// The search ignores case, accents and word order: "the usual suspects" finds "Usual Suspects, The".
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
  const wasChosen = chosen[list].includes(id);
  for (const name of ["liked", "disliked"]) chosen[name] = chosen[name].filter((other) => other !== id);
  if (!wasChosen) chosen[list].push(id);
  return update();
}

// The choices are part of the address, so a reload keeps them and a link contains them.
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

const percent = (probability) => `${Math.round(100 * probability)}\u00a0%`;
const predicted = (movie) => (ratings ? ratings[movie.row].toFixed(1) : "");

function drawFound() {
  const found = search(byId("search").value);
  const rows = found.map((movie) => element("li", {},
    titleButton(movie), element("span", { className: "predicted", textContent: predicted(movie), title: "predicted rating" }),
    chooseButtons(movie)));
  if (!found.length && byId("search").value.trim()) rows.push(element("li", { className: "note", textContent: "No title contains these words." }));
  refill(byId("found"), rows);
}

function drawChosen() {
  for (const [list, hint] of [["liked", "Nothing yet. Search, or select a ♥ in the list."], ["disliked", "Nothing yet."]]) {
    const chips = chosen[list].map((id) => {
      const movie = movies.get(id);
      const chip = element("button", { type: "button", textContent: withYear(movie), onclick: () => choose(list, id) });
      chip.ariaLabel = `Remove: ${withYear(movie)}`;
      return element("li", {}, chip);
    });
    refill(byId(list), chips.length ? chips : [element("li", { className: "none", textContent: hint })]);
  }
  byId("clear").hidden = !chosen.liked.length && !chosen.disliked.length && !chosen.off.size;
}

function drawModalities() {
  byId("modalities").replaceChildren(...catalogue.modalities.map((name) => {
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
  const oldRank = before.indexOf(id) + 1;
  if (!oldRank) return element("span", { className: "moved new", textContent: "new" });
  if (oldRank === rank) return "";
  const up = oldRank > rank;
  return element("span", { className: `moved ${up ? "up" : "down"}`, textContent: `${up ? "▲" : "▼"} ${Math.abs(oldRank - rank)}` });
}

function ratingOf(value) {
  if (value === null) return element("span", { className: "rating" });
  const [lowest, highest] = catalogue.rating_scale ?? [0, 1];
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
  refill(byId("recommended"), rows.map((row) => {
    const movie = movies.get(row.item_id);
    const genres = row.genres.slice(0, MAX_GENRES).map(({ genre, probability }) => `${genre} ${percent(probability)}`).join(", ");
    return element("li", {},
      element("span", { className: "rank" }, String(row.rank), movedSince(before, row.item_id, row.rank)),
      element("div", { className: "about" }, titleButton(movie), element("p", { className: "genres", textContent: genres }), whyOf(row)),
      ratingOf(row.rating), chooseButtons(movie));
  }));
  const nothingChosen = !chosen.liked.length && !chosen.disliked.length;
  const order = nothingChosen
    ? "Nothing chosen yet, so this list is for most people. Choose two movies to get your own list."
    : "Sorted by the model's score, best first. The number is the predicted rating.";
  const noContent = chosen.off.size === catalogue.modalities.length ? " The model uses no content now, only what it learned from ratings." : "";
  byId("summary").textContent = rows.length ? `${order}${noContent} Select a title to see the reasons.` : "No movie is left to recommend.";
}

async function update() {
  remember();
  drawChosen();
  drawFound();
  await attempt(async () => {
    const request = ++lastRequest;
    const answer = await tell("/api/recommend", question());
    if (request !== lastRequest) return; // the visitor has chosen again since
    ratings = answer.ratings;
    drawRecommended(answer.recommendations);
    drawFound();
    drawMarks();
    if (!byId("invented").hidden) invent(); // other movies, another answer
  });
}

// ------------------------------------------------------------------ one movie

// A bar for each row; `full` is the value of a full bar, by default the largest.
function bars(list, rows, full = Math.max(...rows.map((row) => Math.abs(row.value)), 1e-9)) {
  const signed = rows.some((row) => row.value < 0);
  const drawn = rows.map(({ name, value, text, absent }) => {
    const bar = element("span", { className: value < 0 ? "minus" : "" });
    const width = (Math.abs(value) / full) * (signed ? 50 : 100);
    bar.style.width = `${width}%`;
    bar.style.left = `${!signed ? 0 : value < 0 ? 50 - width : 50}%`;
    return element("li", { className: absent ? "absent" : "" },
      element("span", { className: "name", textContent: name, title: name }), element("span", { className: "track" }, bar),
      element("span", { className: "value", textContent: text }));
  });
  byId(list).replaceChildren(...drawn);
}

const signedText = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

async function show(id) {
  const movie = movies.get(id);
  await attempt(async () => {
    const answer = await tell("/api/explain", { ...question(), item: id });
    byId("movie-title").textContent = withYear(movie);
    byId("movie-rating").replaceChildren(answer.rating === null ? "" : `Predicted rating ${answer.rating.toFixed(2)} of ${catalogue.rating_scale[1]}. `);
    const buttons = chooseButtons(movie);
    buttons.addEventListener("click", () => byId("movie").close());
    byId("movie-choose").replaceChildren(buttons);
    bars("movie-genres", answer.genres.map((row) => ({ name: row.genre, value: row.probability, text: percent(row.probability) })), 1);
    const parts = answer.movies.map((row) => ({ name: `${row.liked ? "♥" : "✕"} ${row.title}`, value: row.contribution, text: signedText(row.contribution) }));
    if (answer.popularity !== null) parts.push({ name: "popularity", value: answer.popularity, text: signedText(answer.popularity) });
    bars("movie-carriers", parts);
    byId("movie-method").textContent = answer.movies_method === "exact"
      ? `Exact: the sum is the score, ${answer.score.toFixed(2)}.`
      : "An approximation: how much the score loses without that movie.";
    bars("movie-modalities", answer.modalities.map((row) => ({
      name: label(row.modality), value: row.difference, absent: !row.present, text: row.present ? signedText(row.difference) : "none",
    })));
    if (!byId("movie").open) byId("movie").showModal();
    byId("movie").scrollTop = 0;
  });
}

// ------------------------------------------------------------------ a movie that does not exist

function similarRows(list, rows, hint) {
  const drawn = rows.map((row) => element("li", {},
    titleButton(movies.get(row.item_id)), element("span", { className: "predicted", textContent: row.similarity.toFixed(2).replace("-", "−"), title: "similarity, at most 1" })));
  byId(list).replaceChildren(...(drawn.length ? drawn : [element("li", { className: "note", textContent: hint })]));
}

const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

const sentence = (text) => (/[.?!…]$/.test(text) ? text : `${text}.`);

// A promise of the numbers of the chosen file, and why some are missing. A file is sent once, also while it is being
// read; its name is not sent. The server reads one file at a time, so another one waits for the first.
function readTrailer(file) {
  const same = [file.name, file.size, file.lastModified].join("\n"); // a file that is chosen again is another object
  if (invention.file !== same) {
    const before = Promise.resolve(invention.trailer).catch(() => null);
    const reading = before.then(() => sendTrailer(file));
    [invention.file, invention.trailer] = [same, reading];
    reading.catch(() => {
      if (invention.trailer === reading) invention.file = null; // the visitor may try again
    });
  }
  return invention.trailer;
}

async function sendTrailer(file) {
  const most = catalogue.largest_trailer;
  if (file.size > most) throw new Error(`${file.name}: has ${megabytes(file.size)}, but at most ${megabytes(most)} are read.`);
  try {
    return await ask("/api/trailer", post("application/octet-stream", file));
  } catch (error) {
    throw new Error(sentence(`${file.name}: ${error.message}`));
  }
}

// What was read, what was not, and why: a sentence each.
function sourcesOf(answer, trailer) {
  const sentences = [];
  if (answer.read.length) sentences.push(`Read from the summary: ${answer.read.map(label).join(", ")}.`);
  if (answer.not_read.length) sentences.push(`Not read, because its encoder is not installed: ${answer.not_read.map(label).join(", ")}.`);
  if (trailer) sentences.push(`Read from the trailer: ${Object.keys(trailer.numbers).map(label).join(", ")}.`);
  for (const [name, reason] of Object.entries(trailer?.problems ?? {})) sentences.push(sentence(`No ${label(name)}: the file ${reason}`));
  return [...sentences, "Everything else is missing."].join(" ");
}

async function invent() {
  const button = byId("invent-form").querySelector("button");
  const [summary, file] = [byId("invent-text").value, byId("invent-file").files[0]];
  if (!summary.trim() && !file) return;
  const request = ++invention.lastRequest;
  button.disabled = true;
  await attempt(async () => {
    if (file) button.textContent = "Reading the trailer…";
    const trailer = file ? await readTrailer(file) : null;
    const given = { ...(summary.trim() && { summary }), ...(trailer && { trailer: trailer.numbers }) };
    const answer = await tell("/api/new", { ...question(), ...given });
    if (request !== invention.lastRequest) return;
    const place = `It would be number ${answer.place.toLocaleString("en")} of ${answer.of.toLocaleString("en")} in your list.`;
    const rating = answer.rating === null ? "" : `Predicted rating ${answer.rating.toFixed(1)} of ${catalogue.rating_scale[1]}. `;
    byId("invented-rating").textContent = rating + place;
    bars("invented-genres", answer.genres.map((row) => ({ name: row.genre, value: row.probability, text: percent(row.probability) })), 1);
    similarRows("invented-own", answer.own, "You have chosen no movie yet.");
    similarRows("invented-similar", answer.similar, "");
    byId("invented-read").textContent = sourcesOf(answer, trailer);
    byId("invented").hidden = false;
    byId("invented-show").hidden = !answer.position;
    const [x, y] = answer.position ?? [];
    invention.point = answer.position && { id: null, title: "The new movie", year: null, genre: answer.genres[0]?.genre ?? "", x, y };
    drawMarks();
  }, "invent-problem");
  if (request !== invention.lastRequest) return; // a later one is still at work
  button.textContent = "What would I say?";
  button.disabled = false;
}

byId("invent-form").onsubmit = (event) => {
  event.preventDefault();
  invent();
};
byId("invented-show").onclick = () => byId("places").scrollIntoView({ behavior: "smooth" });

// ------------------------------------------------------------------ start

function drawMarks() {
  const [recommended, liked, disliked] = [shown, chosen.liked, chosen.disliked].map((ids) => ids.map((id) => movies.get(id)));
  markMap(byId("map"), { recommended, liked, disliked, invented: invention.point ? [invention.point] : [] });
}

byId("search").oninput = drawFound;
byId("search").onkeydown = (event) => {
  const [first] = search(byId("search").value);
  if (event.key === "Enter" && first && !chosen.liked.includes(first.id)) {
    byId("search").value = "";
    choose("liked", first.id);
  } else if (event.key === "Escape") {
    byId("search").value = "";
    drawFound();
  } else if (event.key === "ArrowDown") {
    byId("found").querySelector("button")?.focus();
    event.preventDefault();
  }
};
byId("clear").onclick = () => {
  chosen.liked = [];
  chosen.disliked = [];
  chosen.off.clear();
  drawModalities();
  update();
  byId("search").focus();
};
byId("movie").onclick = (event) => {
  if (event.target === byId("movie")) byId("movie").close(); // the backdrop
};

await attempt(async () => {
  catalogue = await ask("/api/catalogue");
  movies = readMovies(catalogue.movies);
  byId("about").textContent = `${catalogue.model} on ${catalogue.dataset}, ${movies.size.toLocaleString("en")} movies`;
  const byFile = catalogue.takes_trailer.length > 0;
  byId("invent").hidden = !catalogue.takes_summary && !byFile;
  byId("invent-by-text").hidden = !catalogue.takes_summary;
  byId("invent-by-file").hidden = !byFile;
  byId("invent-no-file").textContent = catalogue.why_no_trailer;
  recall();
  drawModalities();
  await update();
  if (shown.length) byId("search").placeholder = movies.get(shown[0]).title;
});
window.onhashchange = () => {
  recall();
  drawModalities();
  update();
};
await attempt(async () => {
  let positions = await ask("/api/map");
  while (!positions.x) { // the server is computing the map for another page
    await new Promise((wake) => setTimeout(wake, 1000));
    positions = await ask("/api/map");
  }
  await drawMap(byId("map"), positions, movies, (id) => (id === null ? byId("invented").scrollIntoView({ behavior: "smooth" }) : show(id)));
  drawMarks();
  if (!byId("invented").hidden) await invent(); // now it has a place on the map
});
