#!/usr/bin/python3
"""Runs both sides by turns and writes one table: compare.py PEERS_PROGRAM OUT_DIR [--quick] [--threads N]

Each case is a turn of ours and a turn of theirs, one right after the other, several rounds; times are medians, the
ratio is the median of the rounds' ratios, spread the median distance from a median as a fraction of it. Writes
OUT_DIR/peers.json and OUT_DIR/peers.md. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are unset, so that OpenBLAS chooses for
itself, PyTorch is given AVX-512 where the processor has it, and OpenBLAS is the one whose threads are OpenMP's, as
PyTorch's are: with threads of its own beside those each waits for the other. All make PyTorch faster.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "report"))
import results  # noqa: E402
import tables  # noqa: E402
from results import MAPS  # noqa: E402

PYTHON = "/usr/bin/python3"  # Debian's, which python3-torch is for
OPENMP = "openblas-openmp/libblas.so.3"  # in Debian's folder of libraries
MIXERS = ("qatten", "qatten-pymarl2", "qmix", "vdn")
# (case of theirs, on two threads as well)
CASES = (
    [(f"{m}/forward_backward", True) for m in MIXERS]
    + [("gru/forward_backward", True), ("gru-whole/forward_backward", True)]
    + [(f"{m}/update", True) for m in MIXERS]
    + [(f"{m}/one_row", False) for m in MIXERS]
    + [("gru/act", False)]
)


def environment(threads):
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), PYTHONDONTWRITEBYTECODE="1")
    found = sorted(pathlib.Path("/usr/lib").glob(f"*/{OPENMP}"))
    if not found:
        sys.exit("compare.py: no OpenBLAS with OpenMP's threads; scripts/setup --peers installs it")
    env["LD_LIBRARY_PATH"] = str(found[0].parent)
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    if {"avx512vl", "avx512bw", "avx512dq"} <= set(flags):
        env.setdefault("ATEN_CPU_CAPABILITY", "avx512")
    return env


def run(*command, threads=1):
    done = subprocess.run(command, env=environment(threads), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout.strip()


class Peer:
    """A program that answers a line with the seconds of a call."""

    def __init__(self, *command, threads):
        self.threads = threads
        self.process = subprocess.Popen(
            command, env=environment(threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def time(self, map_name, case, duration):
        if self.threads > 1:
            time.sleep(0.05)  # until the other side's idle threads have ceased to spin
        print(map_name, case, duration, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"compare.py: {self.process.args} ended at {map_name} {case}")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def spread(x):
    middle = statistics.median(x)
    return statistics.median(abs(value - middle) for value in x) / middle


def measure(ours, theirs, name, case, rounds, duration):
    times = []
    for _ in range(rounds):
        times.append([ours.time(name, case.replace("-whole", ""), duration), theirs.time(name, case, duration)])
    a, b = zip(*times)
    ratios = [y / x for x, y in times]
    found = {}
    for name, x in (("ours", a), ("theirs", b), ("ratio", ratios)):
        found.update({name: statistics.median(x), f"{name}_spread": spread(x)})
    return {name: float(f"{x:.4g}") for name, x in found.items()}


def all_rows(program, data, rounds, duration, modes, thread_numbers):
    for threads in thread_numbers:
        for mode in modes:
            options = ["--compiled"] if mode == "compiled" else []
            ours = Peer(program, "serve", str(threads), threads=threads)
            theirs = Peer(PYTHON, str(HERE / "peers.py"), "serve", str(data), str(threads), *options, threads=threads)
            for name in MAPS:
                for case, two in CASES:
                    if mode == "compiled" and case.startswith("gru-whole"):
                        continue  # PyTorch leaves nn.GRU to its own kernel
                    if threads == 1 or two:
                        row = measure(ours, theirs, name, case, rounds, duration)
                        print(f"{name} {case} {threads} {mode}: {row['ratio']:.1f}", file=sys.stderr)
                        yield {"map": name, "case": case, "threads": threads, "mode": mode, **row}
            ours.close()
            theirs.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="our side, built from peers.cpp")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--threads", type=int, choices=(1, 2), help="with so many threads alone; both otherwise")
    given = parser.parse_args()
    rounds, duration = (3, 0.01) if given.quick else (5, 0.05)
    data = given.out / "data"
    data.mkdir(parents=True, exist_ok=True)
    context = json.loads(run(PYTHON, str(HERE / "peers.py"), "context"))
    print("; ".join(f"{key} {value}" for key, value in context.items()), file=sys.stderr)
    run(given.program, "write", str(data))
    context["largest difference of the results"] = run(PYTHON, str(HERE / "peers.py"), "check", str(data))
    print(f"same results to {context['largest difference of the results']}", file=sys.stderr)
    modes = ["eager"] + (["compiled"] if int(context["PyTorch"].split(".")[0]) >= 2 else [])
    thread_numbers = [given.threads] if given.threads else [1, 2]
    rows = list(all_rows(given.program, data, rounds, duration, modes, thread_numbers))
    table = tables.peers_table(rows)
    results.write_json(given.out / "peers.json", {"context": context, "rounds": rounds}, rows)
    results.write(given.out / "peers.md", table + "\n")
    print(table)


if __name__ == "__main__":
    main()
