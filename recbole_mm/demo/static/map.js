// The map of all movies, drawn by plotly (served from its Python package): a trace for each frequent genre, then marks.
const COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#72b7b2", "#e0a100", "#ff8fa3"];
const OTHER = "#9aa0a6";
const POINT = { size: 5, opacity: 0.65 };

// plotly interprets a few HTML tags in texts.
const asText = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function hover(movie) {
  const year = movie.year === null ? "" : ` (${movie.year})`;
  return `${asText(movie.title)}${year}<br>${asText(movie.genre)}`;
}

const points = (movies) => ({
  x: movies.map((movie) => movie.x), y: movies.map((movie) => movie.y), customdata: movies.map((movie) => [movie.id, hover(movie)]),
});

const trace = (movies, name, marker) => ({
  type: "scatter", mode: "markers", name: asText(name), marker, hovertemplate: "%{customdata[1]}<extra></extra>", ...points(movies),
});

const marks = () => ({
  recommended: { name: "recommended", size: 17, color: colourOf("--card"), line: { width: 2, color: colourOf("--text") } },
  liked: { name: "you like", size: 17, symbol: "star", color: colourOf("--like") },
  disliked: { name: "you do not like", size: 11, symbol: "x", color: colourOf("--text") },
  invented: { name: "the new movie", size: 17, symbol: "diamond", color: colourOf("--accent"), line: { width: 2, color: colourOf("--card") } },
});

// A finger that moves over the map scrolls the page; a mouse moves the map.
const withFingers = () => matchMedia("(pointer: coarse)").matches;

function layout() {
  const axis = { visible: false, zeroline: false };
  const [card, text, line] = ["--card", "--text", "--line"].map(colourOf);
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: card, plot_bgcolor: card, font: { color: text, size: 12, family: getComputedStyle(document.body).fontFamily },
    xaxis: axis, yaxis: axis, hovermode: "closest", dragmode: withFingers() ? false : "pan",
    legend: { orientation: "h", y: 0, yanchor: "top", itemsizing: "constant" },
    hoverlabel: { bgcolor: card, bordercolor: line, font: { color: text } },
  };
}

function load() {
  return new Promise((loaded, failed) => {
    const script = Object.assign(document.createElement("script"), { src: "/plotly.js", onload: loaded });
    script.onerror = () => failed(new Error("plotly.js cannot be loaded, so there is no map; reload the page"));
    document.head.append(script);
  });
}

/** Draw the map; `select` gets the id of a movie when its point is selected, null for the new movie. */
export async function drawMap(where, { x, y, genre }, movies, select) {
  await load();
  const all = [...movies.values()];
  for (const movie of all) Object.assign(movie, { x: x[movie.row], y: y[movie.row], genre: genre[movie.row] });
  const frequency = new Map();
  for (const name of genre) frequency.set(name, (frequency.get(name) ?? 0) + 1);
  const frequent = [...frequency.keys()].sort((a, b) => frequency.get(b) - frequency.get(a)).slice(0, COLOURS.length);
  const traces = frequent.map((name, i) =>
    trace(all.filter((movie) => movie.genre === name), name, { ...POINT, color: COLOURS[i] }));
  const others = all.filter((movie) => !frequent.includes(movie.genre));
  if (others.length) traces.push(trace(others, "other genres", { ...POINT, color: OTHER }));
  for (const { name, ...marker } of Object.values(marks())) traces.push(trace([], name, marker));
  where.replaceChildren();
  await Plotly.newPlot(where, traces, layout(), { displayModeBar: false, responsive: true, scrollZoom: !withFingers() });
  where.on("plotly_click", (event) => select(event.points[0].customdata[0]));
  matchMedia("(prefers-color-scheme: dark)").onchange = () => {
    Plotly.relayout(where, layout());
    Object.values(marks()).forEach((marker, i) => Plotly.restyle(where, { marker: [marker] }, [firstMark(where) + i]));
  };
}

const firstMark = (where) => where.data.length - Object.keys(marks()).length;

/** Mark movies: `marked` has the movies of each kind of mark. Recommended movies show their rank. Does nothing before the map is drawn. */
export function markMap(where, marked) {
  if (!where.data) return;
  Object.keys(marks()).forEach((kind, i) => {
    const { x, y, customdata } = points(marked[kind]);
    const ranks = kind === "recommended" ? { mode: "markers+text", text: [x.map((_, k) => String(k + 1))] } : {};
    const changes = { x: [x], y: [y], customdata: [customdata], "textfont.size": 10, ...ranks };
    Plotly.restyle(where, changes, [firstMark(where) + i]);
  });
}
