#!/usr/bin/python3
"""Writes golden vectors with PyTorch: what tests/golden/golden_test.cpp compares the library with.

    make_golden.py --out DIR [--seed N] [--scale small|smac]

Needs Debian's python3-torch and python3-numpy. Everything is float64; gradients are autograd's; optimisers, clipping,
GRU cell and layer norm are PyTorch's own. A file depends on seed, scale and its name alone. README.md beside this file
describes the format.
"""

import argparse
import itertools
import json
import pathlib
import struct
import zlib
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)  # sums in one order

# n_agents, unit_dim, state_dim, obs_dim, n_actions of SMAC's maps
SMAC_MAPS = {
    "3m": (3, 4, 48, 30, 9),
    "2s3z": (5, 7, 120, 80, 11),
    "8m": (8, 4, 168, 80, 14),
    "MMM2": (10, 7, 322, 176, 18),
}


SIGNATURE, VALUE = 16, 32  # entries of TarMAC's messages


# --- files ------------------------------------------------------------------------------------------------------------


def write_safetensors(path, metadata, tensors):
    """8 bytes of header length, JSON padded to a multiple of 8, then the arrays, row-major and little-endian."""
    header = {"__metadata__": {key: str(value) for key, value in metadata.items()}}
    arrays, offset = [], 0
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.detach().numpy())
        dtype = {"float64": "F64", "int64": "I64", "uint8": "U8"}[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        arrays.append(array.astype(array.dtype.newbyteorder("<")).tobytes())
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(arrays))


# --- random numbers and parameters ------------------------------------------------------------------------------------


def normal(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape))


def between(rng, low, high):
    return int(rng.integers(low, high + 1))


def odd(rng, low, high):
    return 2 * between(rng, low // 2, (high - 1) // 2) + 1


def draw_layers(rng, prefix, layers):
    """Parameters of linear layers (name, inputs, outputs, bias), wide enough that no softmax is nearly uniform."""
    p = {}
    for name, inputs, outputs, bias in layers:
        p[f"{prefix}.{name}.weight"] = normal(rng, outputs, inputs) / inputs**0.5
        if bias:
            p[f"{prefix}.{name}.bias"] = 0.5 * normal(rng, outputs)
    return p


def draw_agent(rng, inputs, hidden, actions, layer_norm, rounds=0):
    """With `rounds` of messages among a team, or without."""
    p = draw_layers(rng, "agent", [("fc1", inputs, hidden, True), ("fc2", hidden, actions, True)])
    for side, width in (("ih", hidden + (VALUE if rounds else 0)), ("hh", hidden)):
        p[f"agent.rnn.weight_{side}"] = normal(rng, 3 * hidden, width) / width**0.5
        p[f"agent.rnn.bias_{side}"] = 0.5 * normal(rng, 3 * hidden)
    if layer_norm:
        p["agent.layer_norm.weight"] = 1 + 0.3 * normal(rng, hidden)
        p["agent.layer_norm.bias"] = 0.3 * normal(rng, hidden)
    if rounds:
        layers = [("query", hidden, SIGNATURE, True), ("value", hidden, VALUE, True), ("signature", hidden, SIGNATURE, False)]
        p.update(draw_layers(rng, "agent", layers))
    if rounds > 1:
        p.update(draw_layers(rng, "agent", [("refine", VALUE + hidden, hidden, False)]))
    return p


def require_grad(*tensors):
    for tensor in tensors:
        tensor.requires_grad_()


def gradients(named):
    """What `backward` left; zeros for what the loss does not read."""
    zero = torch.zeros_like
    return {f"grad.{name}": (zero(x) if x.grad is None else x.grad.clone()) for name, x in named.items()}


# --- networks ---------------------------------------------------------------------------------------------------------


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))


def net(p, name, x):
    """One linear layer, or two with a ReLU between: whichever the parameters are for."""
    return linear(p, name, x) if name + ".weight" in p else linear(p, name + ".2", F.relu(linear(p, name + ".0", x)))


def layers_of_net(name, inputs, hidden, outputs, last_bias=True):
    if hidden == 0:
        return [(name, inputs, outputs, last_bias)]
    return [(name + ".0", inputs, hidden, True), (name + ".2", hidden, outputs, last_bias)]


def messages(p, h, n, rounds):
    """TarMAC's, h [N, hidden] of teams of n -> what each agent hears [N, VALUE], the last attention [N / n, n, n]."""
    g = h.unflatten(0, (-1, n))
    for r in range(rounds):
        if r > 0:
            g = torch.tanh(linear(p, "agent.refine", torch.cat([heard, g], 2)))
        query, value, signature = (linear(p, "agent." + name, g) for name in ("query", "value", "signature"))
        attention = F.softmax(query @ signature.transpose(1, 2) / SIGNATURE**0.5, 2)
        heard = attention @ value
    return heard.flatten(0, 1), attention


def agent_step(p, x, h, n=1, rounds=0):
    """x [N, inputs], h [N, hidden] -> q [N, actions], next h. Layer norm is for q alone: h is carried without it."""
    gru = [p["agent.rnn." + name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    x = F.relu(linear(p, "agent.fc1", x))
    if rounds:
        x = torch.cat([x, messages(p, h, n, rounds)[0]], 1)
    h = torch.gru_cell(x, h, *gru)
    y = h
    if "agent.layer_norm.weight" in p:
        y = F.layer_norm(h, h.shape[1:], p["agent.layer_norm.weight"], p["agent.layer_norm.bias"])
    return linear(p, "agent.fc2", y), h


class Mixed(NamedTuple):
    q_tot: torch.Tensor  # [R]; iql: [R, n]
    attention: torch.Tensor | None = None  # [R, heads, n]
    head_weights: torch.Tensor | None = None  # [R, heads]
    regulariser: torch.Tensor | None = None  # []


def unit_features(m, states):
    return states[:, : m["n_agents"] * m["unit_dim"]].reshape(len(states), m["n_agents"], m["unit_dim"])


class Independent:
    def layers(self, m):
        return []

    def mix(self, m, p, qs, states, alive):
        return Mixed(qs)


class Vdn(Independent):
    def mix(self, m, p, qs, states, alive):
        return Mixed(qs.sum(1))


class Qmix:
    POSITIVE = {"abs": torch.abs, "softplus": F.softplus, "square": lambda x: 0.5 * x * x}

    def layers(self, m):
        state, embed = m["state_dim"], m["mixing_embed"]
        hidden = m["hypernet_embed"] if m["mixer"] == "qmix" else 0
        return (
            layers_of_net("hyper_w_1", state, hidden, embed * m["n_agents"])
            + layers_of_net("hyper_w_final", state, hidden, embed)
            + layers_of_net("hyper_b_1", state, 0, embed)
            + layers_of_net("V", state, embed, 1)
        )

    def mix(self, m, p, qs, states, alive):
        positive = self.POSITIVE[m.get("positive", "abs")]
        w_1 = positive(net(p, "mixer.hyper_w_1", states)).reshape(len(qs), m["n_agents"], -1)
        y = F.elu(torch.einsum("rn,rne->re", qs, w_1) + net(p, "mixer.hyper_b_1", states))
        w_2 = positive(net(p, "mixer.hyper_w_final", states))
        return Mixed((w_2 * y).sum(1) + net(p, "mixer.V", states).squeeze(1))


class Qlinear:
    """|f([u_i; s])| instead of attention; hypernet_embed is f's width, mixing_embed that of c(s)."""

    def layers(self, m):
        inputs = m["unit_dim"] + m["state_dim"]
        return layers_of_net("hyper_w", inputs, m["hypernet_embed"], 1, last_bias=False) + layers_of_net(
            "V", m["state_dim"], m["mixing_embed"], 1
        )

    def mix(self, m, p, qs, states, alive):
        shared = states[:, None, :].expand(-1, m["n_agents"], -1)
        a = net(p, "mixer.hyper_w", torch.cat([unit_features(m, states), shared], 2)).squeeze(2)
        return Mixed((a.abs() * qs).sum(1) + net(p, "mixer.V", states).squeeze(1))


class Qatten:
    """PyMARL2's (names below) or the authors'. PyMARL2 has the head-weight net even when nothing reads it."""

    QUERY, KEY, WEIGHTS = "query_embedding_layers", "key_embedding_layers", "head_embedding_layer"
    VALUE = "constrant_value_layer"  # sic

    def layers(self, m):
        layers = []
        for h in range(m["heads"]):
            layers += layers_of_net(f"{self.QUERY}.{h}", m["state_dim"], m["query_hidden"], m["embed"])
            layers += layers_of_net(f"{self.KEY}.{h}", m["unit_dim"], 0, m["embed"])
        layers += layers_of_net(self.WEIGHTS, m["state_dim"], m["head_hidden"], m["heads"])
        return layers + layers_of_net(self.VALUE, m["state_dim"], m["value_hidden"], 1)

    def keys(self, m, qs, states):
        return unit_features(m, states)

    def dead(self, m, alive):
        return torch.zeros_like(alive, dtype=torch.bool)

    def has_weights(self, m):
        return m["mixer"] == "qatten"

    def has_value(self, m):
        return True

    def mix(self, m, p, qs, states, alive):
        queries = torch.stack([net(p, f"mixer.{self.QUERY}.{h}", states) for h in range(m["heads"])], 1)
        inputs = self.keys(m, qs, states)
        keys = torch.stack([net(p, f"mixer.{self.KEY}.{h}", inputs) for h in range(m["heads"])], 1)
        logits = torch.einsum("rhe,rhne->rhn", queries, keys)
        dead = self.dead(m, alive)
        attention = F.softmax((logits / queries.shape[2] ** 0.5).masked_fill(dead[:, None, :], -99999999.0), 2)
        weights = torch.ones(len(qs), m["heads"])
        if self.has_weights(m):
            weights = net(p, "mixer." + self.WEIGHTS, states).abs()
        q_tot = (weights * torch.einsum("rhn,rn->rh", attention, qs)).sum(1)
        if self.has_value(m):
            q_tot = q_tot + net(p, "mixer." + self.VALUE, states).squeeze(1)
        return Mixed(q_tot, attention, weights, self.regulariser(m, logits, dead))

    def regulariser(self, m, logits, dead):
        return None


class QattenAuthors(Qatten):
    QUERY, KEY, WEIGHTS, VALUE = "selector_extractors", "key_extractors", "hyper_w_head", "V"

    def layers(self, m):
        state, embed = m["state_dim"], m["mixing_embed"]
        hidden = m["hypernet_embed"] if m["hypernet_layers"] == 2 else 0
        layers = []
        for h in range(m["heads"]):
            layers += layers_of_net(f"{self.QUERY}.{h}", state, hidden, embed, last_bias=False)
            layers += layers_of_net(f"{self.KEY}.{h}", m["unit_dim"] + m["nonlinear"], 0, embed, last_bias=False)
        if self.has_weights(m):
            layers += layers_of_net(self.WEIGHTS, state, hidden, m["heads"])
        return layers + (layers_of_net(self.VALUE, state, embed, 1) if self.has_value(m) else [])

    def keys(self, m, qs, states):
        units = unit_features(m, states)
        return torch.cat([units, qs[:, :, None]], 2) if m["nonlinear"] else units

    def dead(self, m, alive):
        return (alive == 0) & bool(m["mask_dead"])

    def has_weights(self, m):
        return bool(m["weighted"])

    def has_value(self, m):
        return bool(m["state_bias"])

    def regulariser(self, m, logits, dead):
        living = ~dead
        squares = (logits**2).masked_fill(dead[:, None, :], 0.0).sum()
        return m["attend_reg_coef"] * squares / living.sum().clamp(min=1)


MIXERS = {
    "iql": Independent(),
    "vdn": Vdn(),
    "qmix": Qmix(),
    "qmix1": Qmix(),
    "qlinear": Qlinear(),
    "qatten": Qatten(),
    "qatten_unweighted": Qatten(),
    "qatten_authors": QattenAuthors(),
}


def draw_mixer(rng, m):
    return draw_layers(rng, "mixer", MIXERS[m["mixer"]].layers(m))


def mix(m, p, qs, states, alive):
    return MIXERS[m["mixer"]].mix(m, p, qs, states, alive)


# --- sizes ------------------------------------------------------------------------------------------------------------


def team_sizes(rng, scale):
    if scale == "smac":
        n, unit, state, obs, actions = SMAC_MAPS[rng.choice(list(SMAC_MAPS))]
    else:
        n, unit = between(rng, 2, 6), between(rng, 1, 6)
        state, obs, actions = n * unit + between(rng, 0, 17), odd(rng, 3, 9), between(rng, 2, 7)
    return {"n_agents": n, "unit_dim": unit, "state_dim": state, "obs_dim": obs, "n_actions": actions}


def mixer_sizes(rng, scale, mixer):
    small = scale == "small"
    embed, hidden = (odd(rng, 3, 9), odd(rng, 5, 13)) if small else (32, 64)
    m = {}
    if mixer in ("qmix", "qmix1", "qlinear", "qatten_authors"):
        m.update(mixing_embed=embed, hypernet_embed=hidden)
    if mixer.startswith("qatten"):
        m["heads"] = between(rng, 1, 5) if small else 4
    if mixer in ("qatten", "qatten_unweighted"):
        head, value = (odd(rng, 5, 13), odd(rng, 3, 9)) if small else (64, 32)
        m.update(query_hidden=hidden, embed=embed, head_hidden=head, value_hidden=value)
    if mixer == "qatten_authors":
        m.update(hypernet_layers=2, weighted=1, nonlinear=0, mask_dead=0, state_bias=1, attend_reg_coef=0.01)
    return m


# --- cases: (random stream, scale, options) -> metadata, tensors ------------------------------------------------------


def gru_agent(rng, scale, **options):
    small = scale == "small"
    m = {
        "case": "gru_agent",
        "steps": between(rng, 2, 9),
        "rows": between(rng, 2, 11),
        "inputs": odd(rng, 3, 25) if small else 97,
        "hidden": odd(rng, 3, 35) if small else 64,
        "actions": between(rng, 2, 18),
        "layer_norm": 0,
    }
    m.update(options)
    p = draw_agent(rng, m["inputs"], m["hidden"], m["actions"], m["layer_norm"])
    inputs, h0 = normal(rng, m["steps"], m["rows"], m["inputs"]), normal(rng, m["rows"], m["hidden"])
    weights = normal(rng, m["steps"], m["rows"], m["actions"])
    require_grad(inputs, h0, *p.values())
    q, h, state = [], [], h0
    for x in inputs:
        values, state = agent_step(p, x, state)
        q.append(values)
        h.append(state)
    q, h = torch.stack(q), torch.stack(h)
    (q * weights).sum().backward()
    tensors = {**p, "inputs": inputs, "h0": h0, "q": q, "h": h, "grad.q": weights}
    return m, {**tensors, **gradients({"inputs": inputs, "h0": h0, **p})}


def tarmac_agent(rng, scale, **options):
    small = scale == "small"
    m = {
        "case": "tarmac_agent",
        "steps": between(rng, 3, 6),
        "teams": between(rng, 2, 4),
        "n_agents": between(rng, 2, 6),
        "inputs": odd(rng, 3, 15) if small else 97,
        "hidden": odd(rng, 3, 17) if small else 64,
        "actions": between(rng, 2, 9),
        "layer_norm": 0,
    }
    m.update(options)
    n, rounds = m["n_agents"], m["comm_rounds"]
    rows = m["teams"] * n
    p = draw_agent(rng, m["inputs"], m["hidden"], m["actions"], m["layer_norm"], rounds)
    inputs, h0 = normal(rng, m["steps"], rows, m["inputs"]), normal(rng, rows, m["hidden"])
    weights = normal(rng, m["steps"], rows, m["actions"])
    require_grad(inputs, h0, *p.values())
    q, h, attention, state = [], [], [], h0
    for x in inputs:
        attention.append(messages(p, state, n, rounds)[1])
        values, state = agent_step(p, x, state, n, rounds)
        q.append(values)
        h.append(state)
    q, h, attention = torch.stack(q), torch.stack(h), torch.stack(attention)
    (q * weights).sum().backward()
    tensors = {**p, "inputs": inputs, "h0": h0, "q": q, "h": h, "attention": attention, "grad.q": weights}
    return m, {**tensors, **gradients({"inputs": inputs, "h0": h0, **p})}


def mixer(rng, scale, mixer, **options):
    m = {"case": "mixer", "mixer": mixer, "rows": between(rng, 5, 40), **team_sizes(rng, scale)}
    m.update(mixer_sizes(rng, scale, mixer))
    m.update(options)
    m["state_dim"] = max(m["state_dim"], m["n_agents"] * m["unit_dim"])
    del m["obs_dim"], m["n_actions"]
    rows, n = m["rows"], m["n_agents"]
    p = draw_mixer(rng, m)
    qs, states, weights = 2 * normal(rng, rows, n), normal(rng, rows, m["state_dim"]), normal(rng, rows)
    alive = torch.from_numpy((rng.random((rows, n)) < 0.7).astype(np.uint8))
    alive[-1] = 0  # nobody lives: uniform attention, no gradient through it
    require_grad(qs, *p.values())
    mixed = mix(m, p, qs, states, alive)
    loss = (mixed.q_tot * weights).sum()
    tensors = {**p, "agent_qs": qs, "states": states, "q_tot": mixed.q_tot, "grad.q_tot": weights}
    if mixed.regulariser is not None:
        loss = loss + mixed.regulariser
        tensors.update({"alive": alive, "regulariser": mixed.regulariser.reshape(1)})
    if mixed.attention is not None:
        tensors.update({"attention": mixed.attention, "head_weights": mixed.head_weights})
    loss.backward()
    return m, {**tensors, **gradients({"agent_qs": qs, **p})}


def optimizer_constants(rng, name):
    """PyTorch's or PyMARL's, some of them moved a little: a reader must not take them for granted."""
    if name == "adam":
        beta1, beta2 = float(rng.choice([0.9, 0.85])), float(rng.choice([0.999, 0.99]))
        return {"lr": 1e-3, "beta1": beta1, "beta2": beta2, "adam_eps": 1e-8}
    return {"lr": 5e-4, "rmsprop_alpha": float(rng.choice([0.99, 0.95])), "rmsprop_eps": 1e-5}


def make_optimizer(m, parameters):
    decay = m.get("weight_decay", 0.0)
    if m["optimizer"] == "adam":
        return torch.optim.Adam(parameters, m["lr"], (m["beta1"], m["beta2"]), m["adam_eps"], decay)
    return torch.optim.RMSprop(parameters, m["lr"], m["rmsprop_alpha"], m["rmsprop_eps"], decay)


def optimizer(rng, scale, optimizer, tiny=False, **options):
    """Parameters are small, for errors in the steps to show; `tiny`: gradients of 1e-12 to 1e-10, parameters from 0."""
    m = {"case": "optimizer", "optimizer": optimizer, "steps": between(rng, 6, 15)}
    m.update(optimizer_constants(rng, optimizer), **options)
    size = odd(rng, 11, 41) if scale == "small" else 1009
    p = torch.zeros(size) if tiny else 0.01 * normal(rng, size)
    exponents = rng.uniform(-12, -10, size) if tiny else rng.uniform(-6, 1, size)
    steps = normal(rng, m["steps"], size) * torch.from_numpy(10.0**exponents)
    tensors = {"parameters": p.clone(), "gradients": steps}
    require_grad(p)
    updates, after = make_optimizer(m, [p]), []
    for step in steps:
        p.grad = step.clone()
        updates.step()
        after.append(p.detach().clone())
    return m, {**tensors, "after": torch.stack(after)}


def draw_episodes(rng, m):
    """Episodes of all lengths from 1 to max_steps, ended or cut off. Padding holds numbers that must not matter."""
    b, t, n, a = m["episodes"], m["max_steps"], m["n_agents"], m["n_actions"]
    lengths = rng.integers(1, t + 1, b)
    lengths[rng.permutation(b)[:2]] = [t, 1]
    by_itself = rng.permutation(b) % 2
    real = np.arange(t + 1) <= lengths[:, None]
    available = rng.random((b, t + 1, n, a)) < 0.5
    np.put_along_axis(available, rng.integers(0, a, (b, t + 1, n, 1)), True, 3)
    available &= real[:, :, None, None]
    actions = np.argmax(available * rng.random(available.shape), 3)
    terminated = (np.arange(t + 1) == lengths[:, None] - 1) & (by_itself[:, None] == 1)
    episodes = {
        "obs": normal(rng, b, t + 1, n, m["obs_dim"]),
        "state": normal(rng, b, t + 1, m["state_dim"]),
        "available_actions": available.astype(np.uint8),
        "actions": actions,
        "reward": normal(rng, b, t + 1),
        "terminated": terminated.astype(np.uint8),
        "filled": real.astype(np.uint8),
        "mask": real[:, 1:].astype(np.float64),
    }
    if m.get("mask_dead"):
        episodes["alive"] = (rng.random((b, t + 1, n)) < 0.7).astype(np.uint8)
    return {name: torch.as_tensor(x) for name, x in episodes.items()}


def unroll_all(m, p, e):
    """Action values [B, T+1, n, A] and hidden states [B, T+1, n, H] from observation, last action and agent index."""
    n = m["n_agents"]
    taken = F.one_hot(e["actions"], m["n_actions"]).to(e["obs"].dtype)
    last = torch.cat([torch.zeros_like(taken[:, :1]), taken[:, :-1]], 1)
    ids = torch.eye(n).expand(*e["obs"].shape[:2], n, n)
    inputs = torch.cat([e["obs"], last, ids], 3)
    h, q, hidden = torch.zeros(m["episodes"] * n, m["hidden"]), [], []
    for t in range(inputs.shape[1]):
        values, h = agent_step(p, inputs[:, t].flatten(0, 1), h, n, m.get("comm_rounds", 0))
        q.append(values.reshape(m["episodes"], n, -1))
        hidden.append(h.reshape(m["episodes"], n, -1))
    return torch.stack(q, 1), torch.stack(hidden, 1)


def unroll(m, p, e):
    return unroll_all(m, p, e)[0]


def greedy_of(q, e):
    return q.masked_fill(e["available_actions"] == 0, -float("inf")).argmax(3, keepdim=True)


def alive_of(m, e):
    return e.get("alive", torch.ones(e["obs"].shape[:3], dtype=torch.uint8))


def lambda_returns(m, e, values):
    """Of values [B, T+1, ...]: [B, T, ...], each episode's from its own end; zeros in the padding."""
    out = torch.zeros_like(values[:, 1:])
    for b, length in enumerate(e["mask"].sum(1).long().tolist()):
        g = values[b, length]
        for t in reversed(range(length)):
            discount = m["gamma"] * (1 - int(e["terminated"][b, t]))
            g = e["reward"][b, t] + discount * ((1 - m["td_lambda"]) * values[b, t + 1] + m["td_lambda"] * g)
            out[b, t] = g
    return out


def returns(m, p, target, e):
    """Lambda-returns [B, T] ([B, T, n] for iql), each episode's from its own end; zeros in the padding."""
    with torch.no_grad():
        q, target_q = unroll(m, p, e), unroll(m, target, e)
        judge = q if m["double_q"] else target_q
        greedy = greedy_of(judge, e)
        best = target_q.gather(3, greedy).squeeze(3)
        rows = [x.flatten(0, 1) for x in (best, e["state"], alive_of(m, e))]
        values = mix(m, target, *rows).q_tot
        values = values.reshape(m["episodes"], m["max_steps"] + 1, *values.shape[1:])
        return lambda_returns(m, e, values)


def loss_of(m, p, e, targets):
    real = e["mask"].bool()
    chosen = unroll(m, p, e).gather(3, e["actions"][..., None]).squeeze(3)
    mixed = mix(m, p, *(x[:, :-1][real] for x in (chosen, e["state"], alive_of(m, e))))
    loss = m["loss_scale"] * ((mixed.q_tot - targets[real]) ** 2).mean()
    return loss if mixed.regulariser is None else loss + mixed.regulariser


def q_loss(m, p, target, e):
    """The loss, and its targets."""
    targets = returns(m, p, target, e)
    return loss_of(m, p, e, targets), targets


def train(rng, m, draw_others, loss_and_targets):
    """`updates` updates of agents and `draw_others`' networks on one batch."""
    e = draw_episodes(rng, m)
    parameters = []
    for _ in ("online", "target"):
        inputs = m["obs_dim"] + m["n_actions"] + m["n_agents"]
        agent = draw_agent(rng, inputs, m["hidden"], m["n_actions"], m["layer_norm"], m.get("comm_rounds", 0))
        parameters.append({**agent, **draw_others(rng, m)})
    p, target = parameters
    tensors = {**e, **{name: x.clone() for name, x in p.items()}, **{f"target.{name}": x for name, x in target.items()}}
    require_grad(*p.values())
    updates = make_optimizer(m, p.values())
    for k in range(m["updates"]):
        loss, targets = loss_and_targets(m, p, target, e)
        updates.zero_grad(set_to_none=True)  # what nothing reads keeps no gradient: no optimiser touches it
        loss.backward()
        if k == 0:
            tensors.update(gradients(p))
        norm = torch.nn.utils.clip_grad_norm_(p.values(), m["grad_norm_clip"])
        updates.step()
        found = {"targets": targets, "loss": loss.reshape(1), "grad_norm": norm.reshape(1)}
        tensors.update({f"step{k}.{name}": x.detach() for name, x in found.items()})
    return m, {**tensors, **{f"after.{name}": x for name, x in p.items()}}


def learner_sizes(rng, scale, case, **options):
    m = {"case": case, "episodes": between(rng, 3, 6), "max_steps": between(rng, 4, 9)}
    m.update(team_sizes(rng, scale), layer_norm=0, updates=3)
    m["hidden"] = odd(rng, 5, 21) if scale == "small" else 64
    m.update(gamma=float(rng.choice([0.9, 0.97, 0.99])), loss_scale=float(rng.choice([0.5, 1.0])))
    m.update(optimizer_constants(rng, options["optimizer"]), **options)
    return m


def q_learner(rng, scale, mixer, **options):
    m = {"case": "q_learner", "mixer": mixer, "episodes": between(rng, 3, 6), "max_steps": between(rng, 4, 9)}
    m.update(team_sizes(rng, scale), **mixer_sizes(rng, scale, mixer), layer_norm=0, updates=3)
    m["hidden"] = odd(rng, 5, 21) if scale == "small" else 64
    m.update(gamma=float(rng.choice([0.9, 0.97, 0.99])), loss_scale=float(rng.choice([0.5, 1.0])))
    m.update(optimizer_constants(rng, options["optimizer"]), **options)
    return train(rng, m, draw_mixer, q_loss)


def layers_of_mlp(name, *sizes):
    return [(f"{name}.{2 * k}", a, b, True) for k, (a, b) in enumerate(zip(sizes, sizes[1:]))]


def mlp(p, name, x):
    k = 0
    while f"{name}.{k + 2}.weight" in p:
        x = F.relu(linear(p, f"{name}.{k}", x))
        k += 2
    return linear(p, f"{name}.{k}", x)


# --- QTRAN (Son et al. 2019) ------------------------------------------------------------------------------------------


def draw_qtran(rng, m):
    n, actions, hidden, state, width = m["n_agents"], m["n_actions"], m["hidden"], m["state_dim"], m["mixing_embed"]
    if m["system"] == "qtran_base":
        layers = layers_of_mlp("action_encoding", *3 * (hidden + actions,))
        layers += layers_of_mlp("Q", state + hidden + actions, width, width, 1)
    else:
        layers = layers_of_mlp("hidden_encoding", *3 * (hidden,)) + layers_of_mlp("action_encoding", *3 * (actions,))
        layers += layers_of_mlp("Q", state + n + hidden + actions, width, width, actions)
    layers += layers_of_mlp("V", state + m["hidden_value"] * hidden, width, width, 1)
    if m["hidden_value"]:
        layers += layers_of_mlp("V_encoding", *3 * (hidden,))
    return draw_layers(rng, "mixer", layers)


def qtran_joint(m, p, h, actions, states):
    """Q_jt [..., outputs] of the joint action; with alt also of all alternatives [..., n, A]. h [..., n, H]."""
    n, taken = m["n_agents"], F.one_hot(actions, m["n_actions"]).to(h.dtype)
    if m["system"] == "qtran_base":
        encoded = mlp(p, "mixer.action_encoding", torch.cat([h, taken], -1)).sum(-2)
        return mlp(p, "mixer.Q", torch.cat([states, encoded], -1)), None
    memory = mlp(p, "mixer.hidden_encoding", h).sum(-2, keepdim=True).expand(*h.shape[:-1], -1)
    encoded = mlp(p, "mixer.action_encoding", taken)
    others = encoded.sum(-2, keepdim=True) - encoded
    ids = torch.eye(n).expand(*h.shape[:-2], n, n)
    shared = states[..., None, :].expand(*h.shape[:-1], -1)
    values = mlp(p, "mixer.Q", torch.cat([shared, ids, memory, others], -1))
    return values.gather(-1, actions[..., None]).squeeze(-1), values


def qtran_loss(m, p, target, e):
    q, h = unroll_all(m, p, e)
    best = greedy_of(q.detach(), e).squeeze(3)
    with torch.no_grad():
        target_q, target_h = unroll_all(m, target, e)
        greedy = best if m["double_q"] else greedy_of(target_q, e).squeeze(3)
        values, _ = qtran_joint(m, target, target_h, greedy, e["state"])
        targets = lambda_returns(m, e, values)
    real = e["mask"].bool()
    q, h, best, u, s, available = (
        x[:, :-1][real] for x in (q, h, best, e["actions"], e["state"], e["available_actions"])
    )
    joint, alternatives = qtran_joint(m, p, h, u, s)
    v_input = s
    if m["hidden_value"]:
        v_input = torch.cat([s, mlp(p, "mixer.V_encoding", h).sum(1)], 1)
    v = mlp(p, "mixer.V", v_input)
    chosen, largest = (q.gather(2, a[..., None]).squeeze(2) for a in (u, best))
    td = ((joint - targets[real]) ** 2).mean()
    opt = ((largest.sum(1, keepdim=True) - qtran_joint(m, p, h, best, s)[0].detach() + v) ** 2).mean()
    if m["system"] == "qtran_base":
        nopt = ((chosen.sum(1, keepdim=True) - joint.detach() + v).clamp(max=0) ** 2).mean()
    else:
        others = chosen.sum(1, keepdim=True) - chosen
        d = q + (others + v)[..., None] - alternatives.detach()
        nopt = (d.masked_fill(available == 0, float("inf")).min(2).values ** 2).mean()
    loss = m["loss_scale"] * (td + m["opt_loss"] * opt + m["nopt_min_loss"] * nopt)
    return loss, targets.squeeze(2) if targets.shape[2] == 1 else targets


def qtran(rng, scale, **options):
    m = learner_sizes(rng, scale, "qtran", **options)
    m["mixing_embed"] = odd(rng, 3, 9) if scale == "small" else 64
    return train(rng, m, draw_qtran, qtran_loss)


# --- QPLEX (Wang et al. 2021) -----------------------------------------------------------------------------------------


def draw_qplex(rng, m):
    n, state, pair = m["n_agents"], m["state_dim"], m["state_dim"] + m["n_agents"] * m["n_actions"]
    layers = layers_of_net("hyper_w_final", state, m["hypernet_embed"], n)
    layers += layers_of_net("V", state, m["hypernet_embed"], n)
    for k in range(m["num_kernel"]):
        for name, inputs, outputs in (("key", state, 1), ("agents", state, n), ("action", pair, n)):
            layers += layers_of_net(f"si_weight.{name}_extractors.{k}", inputs, m["adv_hypernet_embed"], outputs)
    return draw_layers(rng, "mixer", layers)


def qplex_mix(m, p, qs, max_qs, actions, states):
    """[..., n] values of the joint action, largest values and actions, [..., S] states -> [...]."""
    taken = F.one_hot(actions, m["n_actions"]).to(qs.dtype).flatten(-2)
    w = net(p, "mixer.hyper_w_final", states).abs() + 1e-10
    b = net(p, "mixer.V", states)
    lambdas = 0
    for k in range(m["num_kernel"]):
        name = "mixer.si_weight.{}_extractors." + str(k)
        agents, action = (
            torch.sigmoid(net(p, name.format(which), x))
            for which, x in (("agents", states), ("action", torch.cat([states, taken], -1)))
        )
        lambdas = lambdas + (net(p, name.format("key"), states).abs() + 1e-10) * agents * action
    advantages = ((w * qs + b) - (w * max_qs + b)).detach()
    return (w * qs + b).sum(-1) + ((lambdas - 1) * advantages).sum(-1)


def qplex_loss(m, p, target, e):
    q, shut = unroll(m, p, e), e["available_actions"] == 0
    with torch.no_grad():
        target_q = unroll(m, target, e)
        greedy = greedy_of(q if m["double_q"] else target_q, e)
        largest = target_q.masked_fill(shut, -float("inf")).max(3).values.nan_to_num(neginf=0.0)  # padding
        values = qplex_mix(m, target, target_q.gather(3, greedy).squeeze(3), largest, greedy.squeeze(3), e["state"])
        targets = lambda_returns(m, e, values)
    real = e["mask"].bool()
    q, u, s, shut = (x[:, :-1][real] for x in (q, e["actions"], e["state"], shut))
    largest = q.detach().masked_fill(shut, -float("inf")).max(2).values
    q_tot = qplex_mix(m, p, q.gather(2, u[..., None]).squeeze(2), largest, u, s)
    return m["loss_scale"] * ((q_tot - targets[real]) ** 2).mean(), targets


def qplex(rng, scale, **options):
    m = learner_sizes(rng, scale, "qplex", **options)
    small = scale == "small"
    m["hypernet_embed"] = odd(rng, 5, 13) if small else 64
    m["num_kernel"] = between(rng, 1, 4) if small else 4
    m["adv_hypernet_embed"] = (odd(rng, 3, 9) if small else 64) if options["adv_hypernet_layers"] == 2 else 0
    return train(rng, m, draw_qplex, qplex_loss)


# --- WQMIX (Rashid et al. 2020) ---------------------------------------------------------------------------------------


def draw_weighted(rng, m):
    inputs = m["obs_dim"] + m["n_actions"] + m["n_agents"]
    central = draw_agent(rng, inputs, m["hidden"], m["n_actions"], m["layer_norm"])
    width, state = m["central_mixing_embed"], m["state_dim"]
    layers = layers_of_mlp("net", state + m["n_agents"], width, width, width, 1) + layers_of_mlp("V", state, width, 1)
    others = {f"central_{name}": x for name, x in central.items()}
    return {**draw_mixer(rng, m), **others, **draw_layers(rng, "central_mixer", layers)}


def central_unroll(m, p, e):
    return unroll(m, {name.removeprefix("central_"): x for name, x in p.items() if name.startswith("central_")}, e)


def central_mix(p, qs, states):
    net_of = mlp(p, "central_mixer.net", torch.cat([states, qs], -1))
    return (net_of + mlp(p, "central_mixer.V", states)).squeeze(-1)


def weighted_loss(m, p, target, e):
    q, central_q = unroll(m, p, e), central_unroll(m, p, e)
    with torch.no_grad():
        greedy = greedy_of(q if m["double_q"] else unroll(m, target, e), e)
        best = central_mix(target, central_unroll(m, target, e).gather(3, greedy).squeeze(3), e["state"])
        targets = lambda_returns(m, e, best)
    real, u = e["mask"].bool(), e["actions"][..., None]
    s, y = e["state"][:, :-1][real], targets[real]
    q_tot = mix(m, p, q.gather(3, u).squeeze(3)[:, :-1][real], s, None).q_tot
    central = central_mix(p, central_q.gather(3, u).squeeze(3)[:, :-1][real], s)
    if m["hysteretic_qmix"]:
        important = q_tot < y
    else:
        important = (u == greedy).squeeze(3).all(2)[:, :-1][real] | (y > best[:, :-1][real])
    weights = torch.where(important, 1.0, m["w"])
    loss = (weights * (q_tot - y) ** 2).mean() + m["central_loss"] * ((central - y) ** 2).mean()
    return m["loss_scale"] * loss, targets


def weighted_qmix(rng, scale, **options):
    m = learner_sizes(rng, scale, "weighted_qmix", mixer="qmix", **options)
    m.update(mixer_sizes(rng, scale, "qmix"), central_mixing_embed=odd(rng, 5, 13) if scale == "small" else 256)
    return train(rng, m, draw_weighted, weighted_loss)


# --- COMA -------------------------------------------------------------------------------------------------------------


def coma_critic(m, p, e):
    """Values [B, T+1, n, A] of all actions of each agent, given the actions of the others."""
    n = m["n_agents"]
    taken = F.one_hot(e["actions"], m["n_actions"]).to(e["obs"].dtype)
    last = torch.cat([torch.zeros_like(taken[:, :1]), taken[:, :-1]], 1)
    others = taken[:, :, None] * (1 - torch.eye(n))[:, :, None]
    common = torch.cat([e["state"], last.flatten(2)], 2)[:, :, None].expand(*taken.shape[:3], -1)
    state, last = common.split([m["state_dim"], n * m["n_actions"]], 3)
    ids = torch.eye(n).expand(*taken.shape[:2], n, n)
    x = torch.cat([state, e["obs"], others.flatten(3), last, ids], 3)
    x = F.relu(linear(p, "critic.fc1", x))
    return linear(p, "critic.fc3", F.relu(linear(p, "critic.fc2", x)))


def coma_policy_loss(m, p, e, values):
    """The loss, the advantages and the policies' largest probabilities, of real steps."""
    real = e["mask"].bool()
    logits, available, u, q = (
        x[:, :-1][real] for x in (unroll(m, p, e), e["available_actions"], e["actions"], values)
    )
    choices = available.sum(2, keepdim=True)
    pi = (1 - m["epsilon"]) * logits.masked_fill(available == 0, -float("inf")).softmax(2) + m["epsilon"] / choices
    pi = pi * available
    of_taken = [x.gather(2, u[..., None]).squeeze(2) for x in (q, pi)]
    advantages = (of_taken[0] - (pi * q).sum(2)).detach()
    return -(advantages * of_taken[1].log()).mean(), advantages, pi.max(2)[0]


def coma_critic_loss(m, p, e, targets, t):
    alive = e["mask"][:, t].bool()
    q = coma_critic(m, p, e)[:, t]
    return ((q.gather(2, e["actions"][:, t, :, None]).squeeze(2) - targets[:, t]) ** 2)[alive].mean(), q.detach()


def coma(rng, scale, **options):
    """`updates` updates on one batch; the critic's optimiser steps backwards in time, the agents' steps once."""
    m = learner_sizes(rng, scale, "coma", **options)
    del m["loss_scale"]
    width = m["critic_hidden"] = odd(rng, 5, 13) if scale == "small" else 128
    e = draw_episodes(rng, m)
    for b, length in enumerate(e["mask"].sum(1).long().tolist()):  # what is drawn where an episode was cut off
        e["available_actions"][b, length] = F.one_hot(e["actions"][b, length], m["n_actions"])
    n, steps, parameters = m["n_agents"], int(e["mask"].sum(1).max()), []
    inputs = m["state_dim"] + m["obs_dim"] + 2 * n * m["n_actions"] + n
    layers = [("fc1", inputs, width, True), ("fc2", width, width, True), ("fc3", width, m["n_actions"], True)]
    for _ in ("online", "target"):
        agent = draw_agent(rng, m["obs_dim"] + m["n_actions"] + n, m["hidden"], m["n_actions"], m["layer_norm"])
        parameters.append({**agent, **draw_layers(rng, "critic", layers)})
    p, target = parameters
    tensors = {**e, **{name: x.clone() for name, x in p.items()}, **{f"target.{name}": x for name, x in target.items()}}
    require_grad(*p.values())
    agent, critic = ([x for name, x in p.items() if name.startswith(part)] for part in ("agent.", "critic."))
    agent_updates, critic_updates = make_optimizer(m, agent), make_optimizer(m, critic)
    with torch.no_grad():
        target_values = coma_critic(m, target, e).gather(3, e["actions"][..., None]).squeeze(3)
        targets = torch.stack([lambda_returns(m, e, values) for values in target_values.unbind(2)], 2)
    first = coma_policy_loss(m, p, e, coma_critic(m, p, e).detach())[0]
    (first + coma_critic_loss(m, p, e, targets, steps - 1)[0]).backward()
    tensors.update(gradients(p))
    for k in range(m["updates"]):
        values, losses, norms = torch.zeros(*e["obs"].shape[:3], m["n_actions"]), [], []
        for t in reversed(range(steps)):
            loss, values[:, t] = coma_critic_loss(m, p, e, targets, t)
            critic_updates.zero_grad()
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(critic, m["grad_norm_clip"]))
            critic_updates.step()
            losses.append(loss)
        loss, advantages, largest = coma_policy_loss(m, p, e, values)
        agent_updates.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(agent, m["grad_norm_clip"])
        agent_updates.step()
        found = {"loss": torch.stack(losses).mean(), "grad_norm": torch.stack(norms).mean(), "coma_loss": loss}
        found.update(agent_grad_norm=norm, advantage_mean=advantages.mean(), pi_max=largest.mean())
        tensors.update({f"step{k}.{name}": x.detach().reshape(1) for name, x in found.items()})
        tensors[f"step{k}.targets"] = targets
    return m, {**tensors, **{f"after.{name}": x for name, x in p.items()}}


# --- MAAC (Iqbal and Sha 2019) ----------------------------------------------------------------------------------------


class Random:
    """The library's random streams: Philox4x32-10 (Salmon et al. 2011) keyed by the seed, counted from a name."""

    def __init__(self, seed, purpose, index):
        name = 0xCBF29CE484222325
        for letter in purpose.encode():
            name = (name ^ letter) * 0x100000001B3 % 2**64
        name = (name + 0x9E3779B97F4A7C15 * index) % 2**64
        self.key, self.stream = (seed % 2**32, seed >> 32), (name % 2**32, name >> 32)
        self.words, self.blocks = [], 0

    def bits(self):
        if not self.words:
            c, (k, l) = (self.blocks % 2**32, self.blocks >> 32, *self.stream), self.key
            for _ in range(10):
                a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = ((b >> 32) ^ c[1] ^ k, b % 2**32, (a >> 32) ^ c[3] ^ l, a % 2**32)
                k, l = (k + 0x9E3779B9) % 2**32, (l + 0xBB67AE85) % 2**32
            self.words, self.blocks = list(c), self.blocks + 1
        return self.words.pop(0)

    def uniform(self):
        high = self.bits() >> 5
        return (high << 26 | self.bits() >> 6) * 2.0**-53


def draw_actions(m, e, pi, purpose, update):
    """Draws [B, T, n] from pi [B, T, n, A]: an episode's stream is numbered by its place among the longest first."""
    lengths = e["mask"].sum(1).long().tolist()
    actions = torch.zeros(pi.shape[:3], dtype=torch.int64)
    for place, b in enumerate(sorted(range(len(lengths)), key=lambda b: -lengths[b])):
        random = Random(1, purpose, update * 2**20 + place)
        for t, i in itertools.product(range(lengths[b]), range(m["n_agents"])):
            rest = random.uniform() - pi[b, t, i].cumsum(0)
            actions[b, t, i] = int(torch.nonzero((rest < 0) & (pi[b, t, i] > 0))[0])
    return actions


def leaky(x):
    return F.leaky_relu(x, 0.01)


def maac_critic(m, p, obs, actions):
    """Values [R, n, A] of all actions of each agent, from obs [R, n, O] and actions [R, n]; and the regulariser."""
    n, shared = m["n_agents"], m["share_parameters"]
    taken = F.one_hot(actions, m["n_actions"]).to(obs.dtype)
    ids = torch.eye(n).expand(len(obs), n, n) if shared else torch.zeros(len(obs), n, 0)
    net = [0 if shared else i for i in range(n)]
    seen, seen_and_done = torch.cat([obs, ids], 2), torch.cat([obs, taken, ids], 2)
    s = [leaky(linear(p, f"critic.state_encoders.{net[i]}.s_enc_fc1", seen[:, i])) for i in range(n)]
    e = [leaky(linear(p, f"critic.critic_encoders.{net[i]}.enc_fc1", seen_and_done[:, i])) for i in range(n)]
    values, regulariser = [], 0
    for i in range(n):
        others, parts = torch.stack(e[:i] + e[i + 1 :], 1), [s[i]]
        for h in range(m["attend_heads"]):
            keys = linear(p, f"critic.key_extractors.{h}", others)
            logits = (keys * linear(p, f"critic.selector_extractors.{h}", s[i])[:, None]).sum(2)
            attention = (logits / keys.shape[2] ** 0.5).softmax(1)
            parts.append((attention[..., None] * leaky(linear(p, f"critic.value_extractors.{h}.0", others))).sum(1))
            regulariser = regulariser + m["attend_reg_coef"] * (logits**2).mean()
        y = leaky(linear(p, f"critic.critics.{net[i]}.critic_fc1", torch.cat(parts, 1)))
        values.append(linear(p, f"critic.critics.{net[i]}.critic_fc2", y))
    return torch.stack(values, 1), regulariser


def draw_maac_critic(rng, m):
    n, width, heads, actions = m["n_agents"], m["critic_hidden"], m["attend_heads"], m["n_actions"]
    inputs, layers = m["obs_dim"] + (n if m["share_parameters"] else 0), []
    for i in range(1 if m["share_parameters"] else n):
        layers += [(f"critic_encoders.{i}.enc_fc1", inputs + actions, width, True)]
        layers += [(f"state_encoders.{i}.s_enc_fc1", inputs, width, True)]
        layers += [(f"critics.{i}.critic_fc1", 2 * width, width, True), (f"critics.{i}.critic_fc2", width, actions, True)]
    for h, part in itertools.product(range(heads), ("key_extractors.{}", "selector_extractors.{}", "value_extractors.{}.0")):
        layers += [(part.format(h), width, width // heads, part.startswith("value"))]
    return draw_layers(rng, "critic", layers)


def policies(m, p, e):
    """Logits, probabilities and their logarithms [B, T+1, n, A]; log 0 is 0. Padding has uniform policies."""
    available = e["available_actions"].bool() | ~e["filled"].bool()[..., None, None]
    logits = unroll(m, p, e)
    masked = logits.masked_fill(~available, -float("inf"))
    return logits * available, masked.softmax(3), masked.log_softmax(3).masked_fill(~available, 0.0)


def of_actions(x, actions):
    return x.gather(-1, actions[..., None]).squeeze(-1)


def maac_critic_loss(m, p, target, e, update):
    real, n = e["mask"].bool(), m["n_agents"]
    with torch.no_grad():
        _, pi, log_pi = (x[:, 1:] for x in policies(m, target, e))
        follow = draw_actions(m, e, pi, "next actions", update)
        values = maac_critic(m, target, e["obs"][:, 1:].flatten(0, 1), follow.flatten(0, 1))[0]
        soft = of_actions(values, follow.flatten(0, 1)).reshape(follow.shape) - of_actions(log_pi, follow) / m["reward_scale"]
        going_on = m["gamma"] * (1 - e["terminated"][:, :-1, None].double())
        targets = (e["reward"][:, :-1, None] + going_on * soft) * real[..., None]
    u = e["actions"][:, :-1][real]
    values, regulariser = maac_critic(m, p, e["obs"][:, :-1][real], u)
    return ((of_actions(values, u) - targets[real]) ** 2).mean(0).sum() + regulariser, targets


def maac_policy_loss(m, p, e, update):
    """The loss, the advantages and the policies' largest probabilities, of real steps."""
    real = e["mask"].bool()
    logits, pi, log_pi = (x[:, :-1] for x in policies(m, p, e))
    drawn = draw_actions(m, e, pi.detach(), "policy actions", update)[real]
    logits, pi, log_pi = (x[real] for x in (logits, pi, log_pi))
    q = maac_critic(m, p, e["obs"][:, :-1][real], drawn)[0].detach()
    advantages = of_actions(q, drawn) - (pi * q).sum(2).detach()
    log_taken = of_actions(log_pi, drawn)
    losses = log_taken * (log_taken / m["reward_scale"] - advantages).detach() + 1e-3 * (logits**2).mean(2)
    return losses.mean(0).sum(), advantages, pi.max(2)[0]


def maac(rng, scale, **options):
    """`updates` updates on one batch: a step of the critic, then one of the policies, then the targets of both move."""
    m = learner_sizes(rng, scale, "maac", **options)
    del m["loss_scale"]
    m["attend_heads"] = between(rng, 1, 4) if scale == "small" else 4
    m["critic_hidden"] = m["attend_heads"] * between(rng, 2, 4) if scale == "small" else 128
    e = draw_episodes(rng, m)
    parameters = []
    for _ in ("online", "target"):
        inputs = m["obs_dim"] + m["n_actions"] + m["n_agents"]
        agent = draw_agent(rng, inputs, m["hidden"], m["n_actions"], m["layer_norm"])
        parameters.append({**agent, **draw_maac_critic(rng, m)})
    p, target = parameters
    tensors = {**e, **{name: x.clone() for name, x in p.items()}}
    tensors.update({f"target.{name}": x.clone() for name, x in target.items()})
    require_grad(*p.values())
    agent, critic = ([x for name, x in p.items() if name.startswith(part)] for part in ("agent.", "critic."))
    own = () if m["share_parameters"] else ("critic.state_encoders", "critic.critics")
    common = [x for name, x in p.items() if name.startswith("critic.") and not name.startswith(own)]
    agent_updates, critic_updates = make_optimizer(m, agent), make_optimizer(m, critic)
    (maac_critic_loss(m, p, target, e, 0)[0] + maac_policy_loss(m, p, e, 0)[0]).backward()
    tensors.update(gradients(p))
    for k in range(m["updates"]):
        loss, targets = maac_critic_loss(m, p, target, e, k)
        critic_updates.zero_grad()
        loss.backward()
        for x in common:
            x.grad /= m["n_agents"]
        found = {"loss": loss}
        found["grad_norm"] = torch.nn.utils.clip_grad_norm_(critic, m["grad_norm_clip"] * m["n_agents"])
        critic_updates.step()
        loss, advantages, largest = maac_policy_loss(m, p, e, k)
        agent_updates.zero_grad()
        loss.backward()
        found["policy_loss"] = loss
        found["agent_grad_norm"] = torch.nn.utils.clip_grad_norm_(agent, m["policy_grad_norm_clip"])
        agent_updates.step()
        with torch.no_grad():
            for name, x in target.items():
                x += m["tau"] * (p[name] - x)
        found.update(advantage_mean=advantages.mean(), pi_max=largest.mean())
        tensors.update({f"step{k}.{name}": x.detach().reshape(1) for name, x in found.items()})
        tensors[f"step{k}.targets"] = targets
    return m, {**tensors, **{f"after.{name}": x for name, x in p.items()}}


# --- all files --------------------------------------------------------------------------------------------------------


def cases():
    """(file name, case, options)"""
    yield "gru_agent", gru_agent, {}
    yield "gru_agent_one_step", gru_agent, {"steps": 1, "rows": 1}
    yield "gru_agent_layer_norm", gru_agent, {"layer_norm": 1}
    for rounds, layer_norm in itertools.product((1, 2, 3), (0, 1)):
        name = f"tarmac_agent_{rounds}_rounds" + ("_layer_norm" if layer_norm else "")
        yield name, tarmac_agent, {"comm_rounds": rounds, "layer_norm": layer_norm}

    plain = ("vdn", "qmix", "qmix1", "qlinear", "qatten", "qatten_unweighted")
    for name in plain:
        yield f"mixer_{name}", mixer, {"mixer": name}
        yield f"mixer_{name}_one_row", mixer, {"mixer": name, "rows": 1}
    for name, positive in itertools.product(("qmix", "qmix1"), ("softplus", "square")):
        yield f"mixer_{name}_{positive}", mixer, {"mixer": name, "positive": positive}
    yield "mixer_qatten_one_agent", mixer, {"mixer": "qatten", "n_agents": 1}
    yield "mixer_qatten_crowd", mixer, {"mixer": "qatten", "n_agents": 30}
    for layers, weighted, nonlinear, dead, coef in itertools.product((1, 2), (0, 1), (0, 1), (0, 1), (0.0, 0.01)):
        flags = {"weighted": weighted, "nonlinear": nonlinear, "dead": dead, "reg": coef}
        words = [f"{layers}_layer"] + [word for word, on in flags.items() if on]
        options = {"hypernet_layers": layers, "weighted": weighted, "nonlinear": nonlinear, "mask_dead": dead}
        options.update(mixer="qatten_authors", attend_reg_coef=coef)
        yield "mixer_qatten_authors_" + "_".join(words), mixer, options
    yield "mixer_qatten_authors_no_state_bias", mixer, {"mixer": "qatten_authors", "state_bias": 0}

    for name in ("adam", "rmsprop"):
        yield f"optimizer_{name}", optimizer, {"optimizer": name}
        yield f"optimizer_{name}_weight_decay", optimizer, {"optimizer": name, "weight_decay": 0.01}
        yield f"optimizer_{name}_tiny", optimizer, {"optimizer": name, "tiny": True}

    clips = itertools.cycle((10.0, 0.1, 0.1))
    choices = itertools.product(("iql",) + plain + ("qatten_authors",), (0.0, 0.6), (1, 0), ("adam", "rmsprop"))
    for name, td_lambda, double_q, rule in choices:
        options = {"mixer": name, "td_lambda": td_lambda, "double_q": double_q, "optimizer": rule}
        words = ["lambda" if td_lambda else "one_step", "double_q" if double_q else "single_q", rule]
        yield f"learner_{name}_" + "_".join(words), q_learner, {**options, "grad_norm_clip": next(clips)}
    common = {"optimizer": "adam", "double_q": 1, "td_lambda": 0.6, "grad_norm_clip": 10.0}
    yield "learner_vdn_monte_carlo", q_learner, {**common, "mixer": "vdn", "td_lambda": 1.0}
    yield "learner_vdn_layer_norm", q_learner, {**common, "mixer": "vdn", "layer_norm": 1}
    yield "learner_qatten_weight_decay", q_learner, {**common, "mixer": "qatten", "weight_decay": 0.01}
    yield "learner_vdn_tarmac", q_learner, {**common, "mixer": "vdn", "comm_rounds": 1}
    yield "learner_qatten_tarmac_2_rounds", q_learner, {**common, "mixer": "qatten", "comm_rounds": 2}
    authors = {**common, "mixer": "qatten_authors", "hypernet_layers": 1}
    yield "learner_qatten_authors_dead", q_learner, {**authors, "mask_dead": 1}
    yield "learner_qatten_authors_nonlinear", q_learner, {**authors, "nonlinear": 1, "weighted": 0}

    for system, double_q, td_lambda in itertools.product(("qtran_base", "qtran_alt"), (1, 0), (0.0, 0.6)):
        options = {"system": system, "double_q": double_q, "td_lambda": td_lambda, "grad_norm_clip": 10.0}
        options.update(hidden_value=int((system == "qtran_alt") == (td_lambda == 0)), optimizer="adam")
        options.update(opt_loss=1.0, nopt_min_loss=0.1 if system == "qtran_base" else 1.0)
        words = ["double_q" if double_q else "single_q", "lambda" if td_lambda else "one_step"]
        yield f"learner_{system}_" + "_".join(words), qtran, options
    for optimistic, double_q, td_lambda in itertools.product((1, 0), (1, 0), (0.0, 0.6)):
        options = {"hysteretic_qmix": optimistic, "w": 0.1, "central_loss": 1.0 if double_q else 0.5}
        options.update(double_q=double_q, td_lambda=td_lambda, grad_norm_clip=10.0, optimizer="rmsprop")
        words = ["ow" if optimistic else "cw", "double_q" if double_q else "single_q", "lambda" if td_lambda else "one_step"]
        yield "learner_weighted_qmix_" + "_".join(words), weighted_qmix, options
    for layers, double_q, td_lambda in itertools.product((1, 2), (1, 0), (0.0, 0.6)):
        options = {"adv_hypernet_layers": layers, "double_q": double_q, "td_lambda": td_lambda, "optimizer": "adam"}
        words = [f"{layers}_layer", "double_q" if double_q else "single_q", "lambda" if td_lambda else "one_step"]
        yield "learner_qplex_" + "_".join(words), qplex, {**options, "grad_norm_clip": 10.0}
    for rule, td_lambda, epsilon in (("rmsprop", 0.8, 0.5), ("adam", 0.0, 0.0), ("adam", 0.8, 0.05)):
        options = {"optimizer": rule, "td_lambda": td_lambda, "epsilon": epsilon}
        words = [rule, "lambda" if td_lambda else "one_step"] + ([] if epsilon else ["no_exploration"])
        yield "learner_coma_" + "_".join(words), coma, {**options, "grad_norm_clip": 0.1 if epsilon == 0.05 else 10.0}
    for rule, shared, clips in (("adam", 0, (10.0, 0.5)), ("adam", 1, (0.01, 0.01)), ("rmsprop", 1, (10.0, 0.5))):
        options = {"optimizer": rule, "share_parameters": shared, "tau": 0.1, "attend_reg_coef": 0.001 if shared else 0.1}
        options.update(grad_norm_clip=clips[0], policy_grad_norm_clip=clips[1], reward_scale=5.0 if shared else 100.0)
        words = [rule, "shared" if shared else "separate"] + (["clipped"] if clips[0] < 1 else [])
        yield "learner_maac_" + "_".join(words), maac, options


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the files; made if missing")
    parser.add_argument("--seed", type=int, default=1)
    scale_help = "sizes: small odd ones, or those of SMAC's maps and PyMARL's networks"
    parser.add_argument("--scale", choices=("small", "smac"), default="small", help=scale_help)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name, case, options in cases():
        rng = np.random.default_rng([given.seed, zlib.crc32(name.encode())])
        m, tensors = case(rng, given.scale, **options)
        m = {"format": "golden-1", **m, "torch": torch.__version__, "seed": given.seed, "scale": given.scale}
        write_safetensors(given.out / f"{name}.safetensors", m, tensors)


if __name__ == "__main__":
    main()
