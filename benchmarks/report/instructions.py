"""What scripts/instructions does once the programs are built: counts with valgrind's cachegrind. The caches that it
simulates have 48 KiB (first level, data) and 1 MiB (last level)."""

import re
import subprocess
import sys
import tempfile

from results import FOLDER, MAPS, ROOT, write_json

CACHES = ["--D1=49152,12,64", "--LL=1048576,16,64"]
# (program, benchmark, calls): what a call more takes is the difference between this many calls and twice as many.
COUNTED = [("mixers", "vdn/{}/forward_backward", 8), ("mixers", "qatten/{}/evaluate_one", 100),
           ("mixers", "qmix/{}/evaluate_one", 100), ("agents", "gru/{}/greedy", 100)]


def simulate(program, benchmark, what, calls):
    """(instructions, misses of the first level, of the last) of the whole program."""
    binary = ROOT / "build" / "release" / "benchmarks" / f"{program}_benchmark"
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["valgrind", "--tool=cachegrind", "--cache-sim=yes", *CACHES, f"--cachegrind-out-file={out.name}", binary,
             f"--count={what}:{calls}", f"--benchmark_filter=/{benchmark}$"], capture_output=True, text=True)
    if done.returncode or "counted, not measured" not in done.stdout:
        sys.exit(f"instructions: {benchmark} failed\n{done.stdout}{done.stderr}")
    numbers = [re.search(rf"{name} *([\d,]+)", done.stderr) for name in ("I +refs:", "D1 +misses:", "LLd misses:")]
    return [int(number.group(1).replace(",", "")) for number in numbers]


def per_call(program, benchmark, what, calls):
    once, twice = (simulate(program, benchmark, what, n) for n in (calls, 2 * calls))
    return [(b - a) / calls for a, b in zip(once, twice)]


def main():
    rows = []
    for program, pattern, calls in COUNTED:
        for name in MAPS:
            benchmark = pattern.format(name)
            row = {"name": benchmark}
            for what in ("work", "floor"):
                for key, value in zip(("instructions", "D1", "LL"), per_call(program, benchmark, what, calls)):
                    row[f"{what} {key}"] = round(value)
            rows.append(row)
            print(row, file=sys.stderr)
    write_json(FOLDER / "instructions.json", {"caches": CACHES, "flags": "-O2 -march=x86-64-v3"}, rows)


main()
