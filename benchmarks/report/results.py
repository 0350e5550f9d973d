"""The measured numbers in docs/benchmarks/*.json, and how they get there."""

import json
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "docs" / "benchmarks"
MAPS = ("3m", "2s3z", "MMM2", "27m_vs_30m")


def write(path, text):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def write_json(path, head, rows):
    """One line a row, so that differences can be read."""
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    head = "".join(f' "{key}": {json.dumps(value)},\n' for key, value in head.items())
    write(path, f'{{\n{head} "rows": [\n  {lines}\n ]\n}}\n')


def condense(path, out):
    """Google Benchmark's JSON without what is this machine's alone: names and counters, rounded."""
    full = json.loads(path.read_text())
    known = {"name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions", "threads",
             "repetition_index", "iterations", "real_time", "cpu_time", "time_unit", "error_occurred", "error_message"}
    rows = []
    for run in full["benchmarks"]:
        if run.get("error_occurred"):
            raise SystemExit(f"{path}: {run['name']}: {run['error_message']}")
        name = "/".join(part for part in run["name"].split("/") if part != "manual_time" and ":" not in part
                        or part.split(":")[0] in ("agents", "rows", "state", "heads"))
        rows.append({"name": name, **{k: float(f"{v:.4g}") for k, v in run.items() if k not in known}})
    context = {key: full["context"][key] for key in ("compiler", "Eigen", "SIMD", "OpenBLAS kernel")
               if key in full["context"]}
    write_json(out, {"context": context}, rows)


def machine():
    """What the numbers belong to."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())

    def git(*arguments):
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() or "unknown"

    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "flags": "-O3 -DNDEBUG -march=native",
        "commit": git("rev-parse", "--short", "HEAD"),
        "load average at the start": [round(x, 1) for x in os.getloadavg()],
    }


class Missing(Exception):
    """A number that is not there."""


class Rows(dict):
    def __missing__(self, key):
        raise Missing(f"no number for {key}")


def load(name):
    path = FOLDER / f"{name}.json"
    if not path.exists():
        raise Missing(f"no {path.relative_to(ROOT)}")
    return json.loads(path.read_text())


def by_name(name):
    """{benchmark's name without BM_…/: its row}"""
    return Rows((row["name"].split("/", 1)[1], row) for row in load(name)["rows"])


def by_case(rows):
    """Of peers.json: {(case, threads, mode): {map: row}}, in the order of measurement."""
    found = {}
    for row in rows:
        found.setdefault((row["case"], row["threads"], row["mode"]), Rows())[row["map"]] = row
    return found
