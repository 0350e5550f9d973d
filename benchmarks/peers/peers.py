#!/usr/bin/python3
"""PyTorch's side of the comparison (compare.py beside this file runs both).

    peers.py context                          versions and kernels, as JSON
    peers.py check DIR                        same parameters, same inputs, same results as ours in DIR/<map>.safetensors
    peers.py serve DIR THREADS [--compiled]   reads lines "<map> <case> <seconds>", answers each with the seconds of a call
"""

import argparse
import ctypes
import json
import pathlib
import struct
import sys
import time

import numpy as np
import torch

import nets

MAPS = ("3m", "2s3z", "MMM2", "27m_vs_30m")
MIXERS = ("qatten", "qatten-pymarl2", "qmix", "vdn")
DTYPES = {"F32": "<f4", "I32": "<i4", "U8": "u1"}


def read(path):
    """The tensors of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        array = np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors


def under(tensors, prefix):
    return {name[len(prefix) :]: x for name, x in tensors.items() if name.startswith(prefix)}


class Map:
    """The cases of one map, from what our side wrote."""

    def __init__(self, path, compiled):
        self.file = read(path)
        self.compiled = compiled
        self.agents, self.actions = self.file["gru/available"].shape
        self.units = self.file["episode0/units"].shape[2]
        self.cases = {}
        for name in MIXERS:
            self.add_mixer(name)
            self.add_update(name)
        self.add_agent("gru", whole=False)
        self.add_agent("gru-whole", whole=True)
        self.add_act()

    def load(self, module, prefix):
        state = under(self.file, prefix)
        if not state:
            assert not list(module.parameters())
        module.load_state_dict(state)  # strict: all names and shapes
        return module

    def mixer(self, name, prefix):
        states = self.file["qatten/state"].shape[1]
        return self.load(nets.make_mixer(name, self.agents, states, self.units), prefix + "mixer.")

    def agent(self, prefix, whole=False):
        state = under(self.file, prefix + "agent.")
        module = nets.Agent(state["fc1.weight"].shape[1], state["fc1.weight"].shape[0], self.actions, whole)
        if whole:
            state = {name + "_l0" if name.startswith("rnn.") else name: x for name, x in state.items()}
        module.load_state_dict(state)
        return module

    def unit_features(self, state):
        return state[:, : self.agents * self.units].reshape(len(state), self.agents, self.units)

    def add_mixer(self, name):
        mixer = self.mixer(name, f"{name}/p/")
        mix = self.compiled(mixer)
        qs, state, dq_tot = (self.file[f"{name}/{x}"] for x in ("qs", "state", "dq_tot"))
        units = self.unit_features(state)
        qs.requires_grad_()
        one = [x[:1].detach().clone() for x in (qs, state, units)]

        def forward_backward():
            mixer.zero_grad(set_to_none=True)
            qs.grad = None
            q_tot, regulariser = mix(qs, state, units)
            loss = (q_tot * dq_tot).sum()
            (loss if regulariser is None else loss + regulariser.mean()).backward()
            return {"q_tot": q_tot, "dqs": qs.grad, **self.gradients(mixer, "mixer.")}

        def one_row():
            with torch.inference_mode():
                return {"q_tot": mix(*one)[0]}

        self.cases[f"{name}/forward_backward"] = forward_backward
        self.cases[f"{name}/one_row"] = one_row

    @staticmethod
    def gradients(module, prefix):
        named = module.named_parameters()
        return {f"gradient/{prefix}{name}": torch.zeros_like(x) if x.grad is None else x.grad for name, x in named}

    def add_agent(self, name, whole):
        agent = self.agent("gru/p/", whole)
        unroll = self.compiled(agent)
        obs, last, dq = (self.file[f"gru/{x}"] for x in ("obs", "last_actions", "dq"))
        last = last.long()

        def forward_backward():
            agent.zero_grad(set_to_none=True)
            q = unroll(nets.agent_inputs(obs, last, self.actions).flatten(1, 2))
            q.backward(dq.flatten(1, 2))
            gradients = {x.replace("_l0", ""): g for x, g in self.gradients(agent, "agent.").items()}
            return {"q": q.view(dq.shape), **gradients}

        self.cases[f"{name}/forward_backward"] = forward_backward

    def add_act(self):
        agent = self.agent("gru/p/")
        step = self.compiled(agent.step)
        obs, last = self.file["gru/obs"][0, 0], self.file["gru/last_actions"][0, 0].long()
        available = self.file["gru/available"]
        hidden = [torch.zeros(self.agents, agent.hidden)]

        def act():
            with torch.inference_mode():
                q, hidden[0] = step(nets.agent_inputs(obs, last, self.actions), hidden[0])
                return {"act_q": q, "act_actions": q.masked_fill(available == 0, -9999999).argmax(1)}

        self.cases["gru/act"] = act

    def add_update(self, name):
        prefix = f"{name}/update/"
        learner = nets.QLearner(self.agent(prefix + "p/"), self.mixer(name, prefix + "p/"), compiled=self.compiled)
        batch = self.batch()

        def update():
            loss, norm = learner.update(batch)
            found = {"loss_and_norm": torch.tensor([loss, norm])}
            for part, module in (("agent.", learner.agent), ("mixer.", learner.mixer)):
                found.update(self.gradients(module, part))
                found.update({f"after/{part}{x}": p for x, p in module.named_parameters()})
            return found

        self.cases[f"{name}/update"] = update

    def batch(self):
        """All episodes, padded with zeros to the longest; they end by themselves. Padding may take every action."""
        if hasattr(self, "_batch"):
            return self._batch
        episodes = []
        while f"episode{len(episodes)}/obs" in self.file:
            episodes.append(under(self.file, f"episode{len(episodes)}/"))

        def pad(name):
            return torch.nn.utils.rnn.pad_sequence([e[name] for e in episodes])

        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(e["rewards"])) for e in episodes])
        continues = torch.ones_like(mask)
        for b, e in enumerate(episodes):
            continues[len(e["rewards"]) - 1, b] = 0
        batch = {name: pad(name) for name in ("obs", "state", "units", "available", "rewards")}
        batch.update(actions=pad("actions").long(), mask=mask, continues=continues)
        self._batch = batch
        return batch


def difference(got, expected):
    """The largest difference, relative to the largest number (at least 1e-3, below which all is rounding)."""
    assert got.shape == expected.shape, f"shapes {tuple(got.shape)} and {tuple(expected.shape)}"
    return float((got.double() - expected.double()).abs().max() / max(float(expected.abs().max()), 1e-3))


def step_difference(got, ours):
    """Of two steps of Adam, on average over all parameters. The first step is little more than the gradient's sign:
    where that is rounding, so is the step."""
    names = [name for name in got if name.startswith("after/")]
    steps = [(got[x].detach() - ours[before], ours[x] - ours[before]) for x in names for before in [f"p/{x[6:]}"]]
    wrong = sum(float((a - b).abs().sum()) for a, b in steps)
    return wrong / sum(float(b.abs().sum()) for _, b in steps)


def check(folder):
    """Both sides compute the same."""
    worst = 0.0
    for name in MAPS:
        m = Map(folder / f"{name}.safetensors", lambda f: f)
        for case, run in m.cases.items():
            if case.endswith("/one_row"):
                ours = {"q_tot": m.file[case.replace("one_row", "q_tot")][:1]}
            elif case.endswith("/update"):
                ours = under(m.file, case + "/")
            else:
                ours = under(m.file, case.replace("gru-whole", "gru").split("/")[0] + "/")
            got = run()
            errors = {x: difference(v.detach(), ours[x]) for x, v in got.items() if not x.startswith("after/")}
            if case.endswith("/update") and not step_difference(got, ours) < 0.01:
                sys.exit(f"peers.py: {name} {case}: the optimisers' steps differ by {step_difference(got, ours):.1e}")
            for what, error in errors.items():
                if not error < 1e-4:
                    sys.exit(f"peers.py: {name} {case} {what}: the two sides differ by {error:.1e}")
            worst = max(worst, *errors.values(), 0.0)
    print(f"{worst:.1e}")


def context():
    """What runs underneath."""
    (capability,) = (line.split()[-1] for line in torch.__config__.show().splitlines() if "capability" in line)
    found = {"PyTorch": torch.__version__, "its vectors": capability, "its BLAS": "not OpenBLAS"}
    with open("/proc/self/maps") as maps:
        libraries = {line.split()[-1] for line in maps if "libopenblas" in line}
    if libraries:
        openblas = ctypes.CDLL(libraries.pop())
        openblas.openblas_get_config.restype = openblas.openblas_get_corename.restype = ctypes.c_char_p
        version = openblas.openblas_get_config().decode().split()[1]
        found["its BLAS"] = f"OpenBLAS {version}, kernel {openblas.openblas_get_corename().decode()}"
    print(json.dumps(found))


def time_of(run, duration, on_wall):
    """Seconds of one call: on one thread the processor's, which other programs do not add to; otherwise the wall's."""
    start, start_cpu, calls, batch = time.perf_counter(), time.process_time(), 0, 1
    while calls == 0 or time.perf_counter() - start < duration:
        for _ in range(batch):
            run()
        calls += batch
        batch *= 2
    if on_wall:
        return (time.perf_counter() - start) / calls
    return (time.process_time() - start_cpu) / calls


def whole(f):
    """Compiled, all of it: what would go back to eager, or did after too many shapes, is an error."""
    config = torch._dynamo.config
    limit = "fail_on_recompile_limit_hit"
    setattr(config, limit if hasattr(config, limit) else "fail_on_cache_limit_hit", True)  # its name until 2.6
    return torch.compile(f, fullgraph=True)


def serve(folder, threads, compiled):
    torch.set_num_threads(threads)
    now, m = None, None
    for line in sys.stdin:
        name, case, duration = line.split()
        if name != now:
            m = None  # one map at a time
            if compiled:
                torch._dynamo.reset()  # else what the last map compiled counts against this one's limit
            m = Map(folder / f"{name}.safetensors", whole if compiled else lambda f: f)
            now = name
        m.cases[case]()
        print(time_of(m.cases[case], float(duration), threads > 1), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("context", "check", "serve"))
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    parser.add_argument("threads", type=int, nargs="?", default=1)
    parser.add_argument("--compiled", action="store_true", help="through torch.compile (PyTorch 2)")
    given = parser.parse_args()
    if given.command == "context":
        context()
    elif given.command == "check":
        check(given.folder)
    else:
        serve(given.folder, given.threads, given.compiled)


if __name__ == "__main__":
    main()
