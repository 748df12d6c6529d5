// The map of all movies, by plotly (served from its wheel): a trace for each frequent genre, then the marks.
const COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#72b7b2", "#e0a100", "#ff8fa3"];
const OTHER = "#9aa0a6";
const POINT = { size: 5, opacity: 0.65 };

// plotly reads a few tags in texts.
const asText = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function hover(movie) {
  const year = movie.year === null ? "" : ` (${movie.year})`;
  return `${asText(movie.title)}${year}<br>${asText(movie.genre)}`;
}

const points = (of) => ({
  x: of.map((movie) => movie.x), y: of.map((movie) => movie.y), customdata: of.map((movie) => [movie.id, hover(movie)]),
});

const trace = (of, name, marker) => ({
  type: "scatter", mode: "markers", name: asText(name), marker, hovertemplate: "%{customdata[1]}<extra></extra>", ...points(of),
});

const marks = () => ({
  recommended: { name: "recommended", size: 17, color: colourOf("--card"), line: { width: 2, color: colourOf("--text") } },
  liked: { name: "you like", size: 17, symbol: "star", color: colourOf("--like") },
  disliked: { name: "you do not like", size: 11, symbol: "x", color: colourOf("--text") },
});

function layout() {
  const axis = { visible: false, zeroline: false };
  const [card, text, line] = ["--card", "--text", "--line"].map(colourOf);
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: card, plot_bgcolor: card, font: { color: text, size: 12, family: getComputedStyle(document.body).fontFamily },
    xaxis: axis, yaxis: axis, hovermode: "closest", dragmode: "pan",
    legend: { orientation: "h", y: 0, yanchor: "top", itemsizing: "constant" },
    hoverlabel: { bgcolor: card, bordercolor: line, font: { color: text } },
  };
}

function load() {
  return new Promise((loaded, failed) => {
    const script = Object.assign(document.createElement("script"), { src: "/plotly.js", onload: loaded });
    script.onerror = () => failed(new Error("plotly.js could not be loaded; no map is drawn"));
    document.head.append(script);
  });
}

/** Draw it; `select` gets the id of a movie whose point was selected. */
export async function drawMap(where, { x, y, genre }, movies, select) {
  await load();
  const all = [...movies.values()];
  for (const movie of all) Object.assign(movie, { x: x[movie.row], y: y[movie.row], genre: genre[movie.row] });
  const count = new Map();
  for (const name of genre) count.set(name, (count.get(name) ?? 0) + 1);
  const frequent = [...count.keys()].sort((one, other) => count.get(other) - count.get(one)).slice(0, COLOURS.length);
  const traces = frequent.map((name, i) =>
    trace(all.filter((movie) => movie.genre === name), name, { ...POINT, color: COLOURS[i] }));
  const others = all.filter((movie) => !frequent.includes(movie.genre));
  if (others.length) traces.push(trace(others, "other genres", { ...POINT, color: OTHER }));
  for (const { name, ...marker } of Object.values(marks())) traces.push(trace([], name, marker));
  where.replaceChildren();
  await Plotly.newPlot(where, traces, layout(), { displayModeBar: false, responsive: true, scrollZoom: true });
  where.on("plotly_click", (event) => select(event.points[0].customdata[0]));
  matchMedia("(prefers-color-scheme: dark)").onchange = () => {
    Plotly.relayout(where, layout());
    Object.values(marks()).forEach((marker, i) => Plotly.restyle(where, { marker: [marker] }, [firstMark(where) + i]));
  };
}

const firstMark = (where) => where.data.length - Object.keys(marks()).length;

/** Mark movies, given by id for each kind of mark; in a recommended one stands its rank. Before the map, nothing. */
export function markMap(where, ids, movies) {
  if (!where.data) return;
  Object.keys(marks()).forEach((kind, i) => {
    const { x, y, customdata } = points(ids[kind].map((id) => movies.get(id)));
    const ranks = kind === "recommended" ? { mode: "markers+text", text: [x.map((_, k) => String(k + 1))] } : {};
    const changes = { x: [x], y: [y], customdata: [customdata], "textfont.size": 10, ...ranks };
    Plotly.restyle(where, changes, [firstMark(where) + i]);
  });
}
