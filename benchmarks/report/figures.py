"""Figures of the measured numbers."""

import svg
from results import MAPS, by_case, by_name, load
from targets import AIMS, FLOORS

NAMES = {"vdn": "VDN", "qmix": "QMIX", "qatten": "Qatten", "qatten-pymarl2": "Qatten (PyMARL2)", "gru": "GRU agent"}
PANELS = (
    ("agents", "agents, the state 7 numbers each (256 rows)"),
    ("rows", "rows at once (MMM2)"),
    ("state", "numbers in the state (4 agents, 256 rows)"),
    ("heads", "heads (MMM2, 1920 rows)"),
)


def growth():
    rows = by_name("growth")
    mixers = ("vdn", "qmix", "qatten", "qatten-pymarl2")
    canvas = svg.Canvas(980, 730, "Time per row of each mixer, one thread")
    canvas.legend(16, 52, [(NAMES[m], svg.COLOURS[k], "") for k, m in enumerate(mixers)]
                  + [("forward and backward", svg.INK, ""), ("evaluate", svg.INK, "5 4")])
    for k, (what, label) in enumerate(PANELS):
        left, top = 80 + 480 * (k % 2), 96 + 340 * (k // 2)
        lines = []
        for mixer, colour in zip(mixers, svg.COLOURS):
            for name, dash in (("forward_backward", ""), ("evaluate", "5 4")):
                points = [(int(key.split("/")[1].split(":")[1]), row["ns/row"]) for key, row in rows.items()
                          if key.startswith(f"{mixer}/{what}:") and key.endswith("/" + name)]
                if points:
                    lines.append((colour, dash, points))
        svg.line_panel(canvas, (left, top, left + 380, top + 240), f"against {what}", label, "ns per row", lines)
    return canvas.finish()


def floors():
    """One dot a map."""
    rows = []
    for title, program, pattern, target in FLOORS:
        found = by_name(program)
        rows.append((title, [found[pattern.format(name)]["floor"] for name in MAPS], target))
    return svg.dot_chart("Time / time of the bare matrix products by Eigen (VDN: one pass over its data)",
                         "ratio, less is better", MAPS, rows, mark_label="target: at most")


def peers_figure():
    rows = [(label(*key), [found[name]["ratio"] for name in MAPS], AIMS.get(key)) for key, found in by_case(load("peers")["rows"]).items()]
    return svg.dot_chart("PyTorch's time / ours, the same work", "ratio, more is better; 1: as fast as PyTorch", MAPS,
                         rows, log=True, mark_label="aim: at least")


def label(case, threads, mode):
    net, what = case.split("/")
    what = {"forward_backward": "forward, backward", "one_row": "one row", "act": "acting step"}.get(what, what)
    net = "GRU agent (nn.GRU)" if net == "gru-whole" else NAMES[net]
    return f"{net}: {what}" + (", 2 threads" if threads == 2 else "") + (", compiled" if mode == "compiled" else "")


def products():
    found, rows, last = by_name("products"), [], None
    series = (("GFLOP/s", "qatten"), ("Eigen", "Eigen"), ("OpenBLAS", "OpenBLAS"))
    for key, row in found.items():
        name, shape = key.split("/")
        if last not in (None, name):
            rows.append(None)
        last = name
        rows.append((f"{name} {shape}", [row.get(counter) for counter, _ in series], None))
    return svg.dot_chart("Bare matrix products, one thread", "GFLOP/s, more is better", [s for _, s in series], rows)


ALL = {"growth": growth, "floors": floors, "peers": peers_figure, "products": products}
