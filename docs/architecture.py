"""Draws docs/architecture.svg, from files to tasks: ``python docs/architecture.py [OUT]``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).with_name("architecture.svg")
WIDTH, HEIGHT = 11.0, 7.05  # inches; the coordinates below are inches too
PITCH = 0.26  # from line to line
INK, MUTED, LINE, PANEL = "#1f2328", "#59636e", "#8c959f", "#f6f8fa"
# Fill and edge by what a part is about; a task shows what it reads in the same colours.
COLOURS = {
    "shared": ("#ddeaf9", "#2f6fb3"),
    "rating": ("#fdebd3", "#b8690c"),
    "genre": ("#e0f2e1", "#3b7f41"),
    "ranking": ("#ece5f7", "#7450ad"),
    "users": ("#d9f1f1", "#1f7d80"),
    "mmasp": ("#fbe3e4", "#b5363f"),
    "plain": ("#ffffff", LINE),
}


def box(ax: Axes, x: float, y: float, width: float, height: float, kind: str = "plain", dashed: bool = False) -> None:
    """A rounded box whose lower left corner is (x, y)."""
    fill, edge = COLOURS[kind]
    style = "round,pad=0,rounding_size=0.06"
    line = (0, (4, 2)) if dashed else "solid"
    ax.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=fill, edgecolor=edge, linestyle=line, lw=1.1)
    )


def panel(ax: Axes, x: float, y: float, width: float, height: float, title: str) -> None:
    """A column and its title."""
    style = "round,pad=0,rounding_size=0.1"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=PANEL, edgecolor="#d1d9e0", lw=0.9))
    write(ax, x + 0.12, y + height - 0.2, title, size=12, weight="bold")


def write(ax: Axes, x: float, y: float, text: str, size: float = 10.4, colour: str = INK, **more) -> None:
    """Text from (x, y) to the right."""
    ax.text(x, y, text, fontsize=size, color=colour, **{"ha": "left", "va": "center", **more})


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = MUTED) -> None:
    """A line with a head at its end."""
    shape = {"arrowstyle": "-|>", "color": colour, "lw": 1.3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
    ax.annotate("", xy=end, xytext=start, arrowprops=shape)


def chips(ax: Axes, x: float, y: float, parts: list[tuple[str, str, bool]]) -> None:
    """What a task reads: (text, kind, dashed) side by side."""
    for text, kind, dashed in parts:
        width = 0.5 if "(" in text else 0.32
        box(ax, x, y, width, 0.27, kind, dashed)
        write(ax, x + width / 2, y + 0.13, text, ha="center")
        x += width + 0.07


def data(ax: Axes) -> None:
    """The files of a data set."""
    panel(ax, 0.1, 0.1, 1.95, HEIGHT - 0.2, "Files")
    for y, name, lines in (
        (5.05, ".item", ["title, year,", "genres"]),
        (2.65, ".text  .audio  …", ["vectors: one file", "for each modality,", "a row for each", "movie that has it"]),
        (0.45, ".inter", ["user, movie, rating"]),
    ):
        height = 0.52 + PITCH * len(lines)
        box(ax, 0.2, y, 1.75, height)
        write(ax, 0.3, y + height - 0.22, name, weight="bold")
        for number, line in enumerate(lines):
            write(ax, 0.3, y + height - 0.52 - PITCH * number, line, colour=MUTED)


def catalogue(ax: Axes) -> None:
    """What is known of a movie, and its fusion."""
    panel(ax, 2.4, 1.95, 2.25, 3.45, "Catalogue")
    for number, (symbol, text) in enumerate(
        (("$x_k$", "vector of modality"), ("$p_k$", "is it there: 0, 1"), ("$i_m$", "identity, if rated"))
    ):
        write(ax, 2.52, 4.85 - PITCH * number, symbol)
        write(ax, 2.87, 4.85 - PITCH * number, text, colour=MUTED)
    box(ax, 2.5, 2.05, 2.05, 1.95)
    write(ax, 2.6, 3.78, "fusion", weight="bold")
    for number, (x, line) in enumerate(
        (
            (2.6, "$h_k = p_k\\,(W_k x_k + b_k)$"),
            (2.98, "$+\\;(1 - p_k)\\,e_k$"),
            (2.6, "$h_i = i_m$  or  $e_i$"),
            (2.6, "$f = $LeakyReLU("),
            (2.67, "Dropout$([h_i; h_1 … h_K]))$"),
        )
    ):
        write(ax, x, 3.46 - 0.29 * number, line)


def encoders(ax: Axes) -> None:
    """Shared and private encoders, and which model has which."""
    panel(ax, 5.0, 1.95, 2.1, 3.45, "Encoders")
    box(ax, 5.1, 4.5, 1.9, 0.48, "shared")
    write(ax, 5.2, 4.74, "shared  $s = E_s(f)$")
    for y, kind, text in (
        (4.0, "genre", "private  $g = E_g(f)$"),
        (3.6, "rating", "private  $r = E_r(f)$"),
        (3.2, "ranking", "private  $q = E_q(f)$"),
    ):
        box(ax, 5.1, y, 1.9, 0.34, kind, dashed=True)
        write(ax, 5.2, y + 0.17, text)
    for number, (name, text) in enumerate((("MMFS", "shared"), ("MMSP", "+ dashed parts"), ("MMASP", "+ red part"))):
        write(ax, 5.1, 2.83 - 0.29 * number, name, weight="bold", size=10)
        write(ax, 5.82, 2.83 - 0.29 * number, text, colour=MUTED, size=10)


def adversarial(ax: Axes) -> None:
    """What MMASP adds."""
    box(ax, 4.2, 5.68, 2.9, 0.83, "mmasp")
    write(ax, 4.3, 6.32, "task discriminator $D(s)$ behind")
    write(ax, 4.3, 6.08, "gradient reversal: cross-entropy")
    write(ax, 4.3, 5.84, "orthogonality: $s⊥r$, $s⊥g$")
    arrow(ax, (6.6, 4.98), (6.6, 5.68), COLOURS["mmasp"][1])


def users(ax: Axes) -> None:
    """Profiles."""
    box(ax, 3.3, 0.1, 3.8, 1.48, "users")
    write(ax, 3.42, 1.36, "Users", weight="bold", size=12)
    write(ax, 3.42, 1.05, "$L(u)$: movies they liked,  $D(u)$: disliked")
    write(ax, 3.42, 0.72, "$P(u) = $ mean$_L\\,z + $ mean$_D\\,V z$")
    write(ax, 3.42, 0.38, "$Q(u)$: the same of ranking's vectors")


def tasks(ax: Axes) -> None:
    """Each task: what it reads, predicts, minimises, needs and reports."""
    panel(ax, 7.5, 0.1, 3.4, HEIGHT - 0.2, "Tasks")
    for y, kind, title, reads, formula, lines in (
        (
            4.48,
            "genre",
            "Genres of a movie",
            [("$s$", "shared", False), ("$g$", "genre", True), ("$x_k$", "plain", False)],
            "$\\sigma(W[s; g])$, $\\sigma(L[x_1; …; x_K])$, kernels",
            ["loss: binary cross-entropy", "needs: genres", "reports: mAP, F1, AUC"],
        ),
        (
            2.34,
            "rating",
            "Rating of a user and a movie",
            [("$s$", "shared", False), ("$r$", "rating", True), ("$P(u)$", "users", False)],
            "$\\mu + b_u + $MLP$[P; z; P⊙z] + p_u·q_m$",
            ["loss: squared error", "needs: ratings", "reports: RMSE, MAE"],
        ),
        (
            0.2,
            "ranking",
            "Ranking of the catalogue",
            [("$s$", "shared", False), ("$q$", "ranking", True), ("$Q(u)$", "users", False)],
            "$Q(u)·t(m) + b(m) + w·$EASE",
            ["loss: softmax over the catalogue", "needs: who rated what", "reports: Recall, NDCG, MRR, …"],
        ),
    ):
        box(ax, 7.6, y, 3.2, 2.0, kind)
        write(ax, 7.72, y + 1.77, title, weight="bold")
        write(ax, 7.72, y + 1.43, "reads", colour=MUTED)
        chips(ax, 8.25, y + 1.3, reads)
        write(ax, 7.72, y + 1.06, formula)
        for number, line in enumerate(lines):
            write(ax, 7.72, y + 0.75 - PITCH * number, line, colour=MUTED)


def draw(out: Path) -> None:
    """Write the figure; the same bytes each time under one version of matplotlib."""
    settings = {
        "svg.hashsalt": "recbole-mm",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "mathtext.fontset": "dejavusans",
    }
    with plt.rc_context(settings):
        figure = plt.figure(figsize=(WIDTH, HEIGHT))
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        ax.axis("off")
        for part in (data, catalogue, encoders, adversarial, users, tasks):
            part(ax)
        for start, end in (
            ((1.95, 3.45), (2.4, 3.45)),  # vectors
            ((4.65, 3.7), (5.0, 3.7)),  # f
            ((7.1, 3.7), (7.5, 3.7)),  # s, r, g, q
            ((6.05, 1.95), (6.05, 1.58)),  # movies of the users
            ((1.95, 0.84), (3.3, 0.84)),  # ratings
            ((7.1, 0.84), (7.5, 0.84)),  # P, Q
        ):
            arrow(ax, start, end)
        arrow(ax, (2.05, 6.78), (7.5, 6.78))
        write(ax, 2.4, 6.6, "targets: training part", colour=MUTED)
        figure.savefig(out, dpi=130, metadata={"Date": None} if out.suffix == ".svg" else None, facecolor="white")
        plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
