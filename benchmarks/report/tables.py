"""Tables of the measured numbers, put into docs/benchmarks.md between <!-- table NAME --> and <!-- end -->."""

import re

from figures import label
from results import MAPS, ROOT, by_case, by_name, load
from targets import AIMS, DECISION, FLOORS, ONE_ROW, SPEEDUP

PAGE = ROOT / "docs" / "benchmarks.md"
MIXERS = ("qatten", "qatten-pymarl2", "qmix", "vdn")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def percent(x):
    return f"± {100 * x:.0f} %"


def duration(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def verdict(value, met):
    """A missed target stands out."""
    return value if met else f"**{value}**"


def machine():
    rows = list(load("machine").items())
    for name in ("mixers", "products"):
        rows += [kv for kv in load(name)["context"].items() if kv not in rows]
    rows += list(load("peers")["context"].items())
    show = lambda v: ", ".join(map(str, v)) if isinstance(v, list) else str(v)
    return table(("what", ""), [(k, show(v)) for k, v in rows])


def floors():
    rows = []
    for title, program, pattern, target in FLOORS:
        found = by_name(program)
        cells = [found[pattern.format(name)] for name in MAPS]
        texts = [f"{verdict('%.2f' % c['floor'], c['floor'] <= target)} {percent(c['spread'])}" for c in cells]
        rows.append((title, f"≤ {target}", *texts))
    return table(("time / floor", "target", *MAPS), rows)


def openblas():
    """A whole update over the floor of OpenBLAS's products."""
    found = by_name("learner_openblas")
    rows = [(mixer, *(f"{found[f'{mixer}/{name}/update']['floor']:.2f} {percent(found[f'{mixer}/{name}/update']['spread'])}"
                      for name in MAPS)) for mixer in ("qatten", "qmix", "vdn")]
    return table(("update / OpenBLAS's products", *MAPS), rows)


def throughput():
    """Rows or steps a second, GFLOP/s."""
    rows = []
    for title, program, pattern, _ in FLOORS:
        cells = [by_name(program)[pattern.format(name)] for name in MAPS]
        unit = "rows/s" if "rows/s" in cells[0] else "steps/s"
        gflops = [f", {c['GFLOP/s']:.0f} GFLOP/s" if "GFLOP/s" in c else "" for c in cells]
        rows.append((title, *(f"{c[unit]:.3g} {unit}{g}" for c, g in zip(cells, gflops))))
    return table(("", *MAPS), rows)


def acting():
    rows = []
    for title, program, pattern, unit, target in (
        ("one row, Qatten", "mixers", "qatten/{}/evaluate_one", "rows/s", ONE_ROW),
        ("one row, Qatten (PyMARL2)", "mixers", "qatten-pymarl2/{}/evaluate_one", "rows/s", None),
        ("one row, QMIX", "mixers", "qmix/{}/evaluate_one", "rows/s", None),
        ("one row, VDN", "mixers", "vdn/{}/evaluate_one", "rows/s", None),
        ("GRU step of the team", "agents", "gru/{}/act", "steps/s", None),
        ("observation to greedy actions of the team", "agents", "gru/{}/greedy", "steps/s", DECISION),
    ):
        cells = []
        for name in MAPS:
            row, benchmark = by_name(program)[pattern.format(name)], pattern.format(name)
            text = duration(1 / row[unit])
            met = not target or target[1] != benchmark or 1e6 / row[unit] <= target[2]
            cells.append(f"{verdict(text, met)} {percent(row['spread'])}")
        rows.append((title, f"≤ {target[2]:g} µs at {target[1].split('/')[1]}" if target else "", *cells))
    for title, mixer in (("Qatten", "qatten"), ("Qatten (PyMARL2)", "qatten-pymarl2"), ("QMIX", "qmix")):
        ratios = [f"{by_name('mixers')[f'{mixer}/{name}/evaluate_one']['read']:.1f}" for name in MAPS]
        rows.append((f"one row, {title}, over one reading of its parameters", "", *ratios))
    return table(("", "target", *MAPS), rows)


def instructions():
    """Instructions and misses of one call, and of its floor's."""
    rows = []
    for r in load("instructions")["rows"]:
        per = lambda key: f"{r['work ' + key]:,} : {r['floor ' + key]:,}".replace(",", "\u2009")
        ratio = r["work instructions"] / r["floor instructions"]
        rows.append((f"`{r['name']}`", f"{ratio:.2f}", *(per(k) for k in ("instructions", "D1", "LL"))))
    return table(("ours : floor", "ratio", "instructions", "misses, 48 KiB", "misses, 1 MiB"), rows)


def threads():
    rows = []
    for mixer in ("qatten", "qmix", "vdn"):
        cells = []
        for name in MAPS:
            row = by_name("learner")[f"{mixer}/{name}/threads"]
            benchmark = SPEEDUP[1].format(mixer)
            met = benchmark.split("/")[1] != name or row["speedup"] >= SPEEDUP[2]
            cells.append(f"{verdict('%.2f' % row['speedup'], met)} ({row['steps/s']:.3g} steps/s {percent(row['spread'])})")
        rows.append((mixer, f"≥ {SPEEDUP[2]} at MMM2", *cells))
    return table(("2 threads / 1", "target", *MAPS), rows)


def systems():
    """A whole update of every system, in updates of VDN."""
    found, rows = by_name("systems"), []
    for system in dict.fromkeys(name.split("/")[0] for name in found):
        cells = [found[f"{system}/{name}"] for name in MAPS]
        rows.append((system, *(f"{c['of vdn']:.2f} {percent(c['spread'])}<br>{c['steps/s']:.3g} steps/s" for c in cells)))
    return table(("time / VDN's", *MAPS), rows)


def peers_table(measured):
    rows = []
    for key, found in by_case(measured).items():
        aim, cells = AIMS.get(key), []
        for name in MAPS:
            row = found[name]
            ratio = verdict("%.3g" % row["ratio"], row["ratio"] >= (aim or 1))
            cells.append(f"{ratio} {percent(row['ratio_spread'])}<br>{duration(row['ours'])} : {duration(row['theirs'])}")
        rows.append((label(*key), f"≥ {aim}" if aim else "", *cells))
    return table(("PyTorch / ours", "aim", *MAPS), rows)


def compiled():
    """PyTorch of a version that compiles, eager and compiled, under a line that says what ran."""
    found = load("peers_compiled")
    context = "; ".join(f"{what} {value}" for what, value in found["context"].items())
    return f"{context}.\n\n{peers_table(found['rows'])}"


def growth():
    rows = []
    found = by_name("growth")
    for mixer in MIXERS:
        for what in ("forward_backward", "evaluate"):
            cells = [found[f"{mixer}/agents:{n}/{what}"]["ns/row"] for n in (3, 10, 30, 100, 300, 1000)]
            rows.append((f"{mixer} {what.replace('_', ', ')}", *(duration(c * 1e-9) for c in cells)))
    return table(("time per row, n =", "3", "10", "30", "100", "300", "1000"), rows)


def products():
    found, rows = by_name("products"), []
    for key, row in found.items():
        values = [row.get(counter) for counter in ("GFLOP/s", "Eigen", "OpenBLAS")]
        best = max(v for v in values if v)
        rows.append((key.replace("/", " "), *("–" if v is None else f"{v:.0f}" if v < best else f"**{v:.0f}**"
                                              for v in values), percent(row["spread"])))
    return table(("GFLOP/s", "qatten", "Eigen", "OpenBLAS", "spread of ours"), rows)


def memory():
    gib = lambda x: f"{x / 2**30:.2f} GiB"
    rows = [(r["precision"], f"{r['episodes']}", f"{r['steps']}", gib(r["replay"]), f"{r['replay'] / r['steps']:.0f}",
             gib(r["peak"])) for r in load("memory")["rows"]]
    return table(("buffer_precision", "episodes", "steps", "replay", "bytes a step", "peak of the process"), rows)


def compile_time():
    found = load("compile_time")
    rows = [(r["compiler"], f"`{r['flags']}`", r["variant"],
             verdict(f"{r['seconds']:.1f}", r["seconds"] <= found["budget"]["seconds"]),
             verdict(str(r["MB"]), r["MB"] <= found["budget"]["MB"])) for r in found["rows"]]
    budget = ("budget", "", "", f"≤ {found['budget']['seconds']}", f"≤ {found['budget']['MB']}")
    return table(("compiler", "flags", "what", "seconds", "peak MB"), [*rows, budget])


ALL = {"machine": machine, "floors": floors, "openblas": openblas, "throughput": throughput, "acting": acting,
       "threads": threads, "systems": systems, "peers": lambda: peers_table(load("peers")["rows"]), "compiled": compiled,
       "growth": growth, "instructions": instructions, "products": products, "memory": memory, "compile_time": compile_time}


def page():
    """The page with every table anew. An unknown name, or numbers that are missing, is an error."""
    text = PAGE.read_text()
    pattern = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)
    used = set(pattern.findall(text))
    if used != set(ALL):
        raise SystemExit(f"{PAGE.name}: tables {sorted(used ^ set(ALL))} are on one side only")
    return pattern.sub(lambda m: f"<!-- table {m[1]} -->\n\n{ALL[m[1]]()}\n\n<!-- end -->", text)
