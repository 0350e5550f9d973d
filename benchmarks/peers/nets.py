"""The networks and the update in PyTorch, from the formulas of docs/math, as PyMARL has them.

Each is written for PyTorch's sake: inputs and layers that do not need the recurrence are computed for all steps at
once, and attention's logits by the primitive that was fastest at these sizes (a product of elements and a sum; bmm
takes 1.5 to 4 times as long).
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Agent(nn.Module):
    """fc1, ReLU, GRU cell, fc2. With `whole`, PyTorch's GRU over whole sequences in place of the cell."""

    def __init__(self, inputs, hidden, actions, whole=False):
        super().__init__()
        self.hidden = hidden
        self.fc1 = nn.Linear(inputs, hidden)
        self.rnn = nn.GRU(hidden, hidden) if whole else nn.GRUCell(hidden, hidden)
        self.fc2 = nn.Linear(hidden, actions)

    def forward(self, inputs):
        """inputs [T, columns, …] -> q [T, columns, actions]"""
        x = F.relu(self.fc1(inputs))
        if isinstance(self.rnn, nn.GRU):
            return self.fc2(self.rnn(x)[0])
        h, all_h = x.new_zeros(x.shape[1], self.hidden), []
        for x_t in x:
            h = self.rnn(x_t, h)
            all_h.append(h)
        return self.fc2(torch.stack(all_h))

    def step(self, inputs, h):
        h = self.rnn(F.relu(self.fc1(inputs)), h)
        return self.fc2(h), h


def agent_inputs(obs, last_actions, n_actions):
    """[…, n, obs], [… , n] with -1 for none -> […, n, obs + actions + n]"""
    n = obs.shape[-2]
    last = F.one_hot(last_actions + 1, n_actions + 1)[..., 1:].to(obs.dtype)
    ids = torch.eye(n).expand(*obs.shape[:-2], n, n)
    return torch.cat([obs, last, ids], -1)


def two_layers(inputs, hidden, outputs, bias=True):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs, bias=bias))


class Vdn(nn.Module):
    """Every mixer: qs [R, n], state [R, …], units [R, n, …] -> q_tot [R], its regulariser of each row or None."""

    def forward(self, qs, state, units):
        return qs.sum(1), None


class Qmix(nn.Module):
    def __init__(self, agents, state, embed=32, hidden=64):
        super().__init__()
        self.embed = embed
        self.hyper_w_1 = two_layers(state, hidden, embed * agents)
        self.hyper_w_final = two_layers(state, hidden, embed)
        self.hyper_b_1 = nn.Linear(state, embed)
        self.V = two_layers(state, embed, 1)

    def forward(self, qs, state, units):
        w_1 = self.hyper_w_1(state).abs().view(*qs.shape, self.embed)
        y = F.elu((qs[:, :, None] * w_1).sum(1) + self.hyper_b_1(state))
        return (self.hyper_w_final(state).abs() * y).sum(1) + self.V(state).squeeze(1), None


class QattenAuthors(nn.Module):
    HEADS, EMBED, HIDDEN, REGULARISER = 4, 32, 64, 0.01

    def __init__(self, state, unit):
        super().__init__()
        heads = range(self.HEADS)
        self.selector_extractors = nn.ModuleList(two_layers(state, self.HIDDEN, self.EMBED, False) for _ in heads)
        self.key_extractors = nn.ModuleList(nn.Linear(unit, self.EMBED, bias=False) for _ in heads)
        self.V = two_layers(state, self.EMBED, 1)

    def attend(self, queries, keys, qs, state, units):
        """Q^h of each head, and its logits."""
        values, all_logits = [], []
        for query, key in zip(queries, keys):
            logits = (query(state)[:, None, :] * key(units)).sum(2)
            attention = F.softmax(logits / self.EMBED**0.5, 1)
            values.append((attention * qs).sum(1))
            all_logits.append(logits)
        return values, all_logits

    def forward(self, qs, state, units):
        values, logits = self.attend(self.selector_extractors, self.key_extractors, qs, state, units)
        regulariser = self.REGULARISER * sum((x**2).mean(1) for x in logits)
        return sum(values) + self.V(state).squeeze(1), regulariser


class QattenPymarl2(QattenAuthors):
    def __init__(self, state, unit):
        nn.Module.__init__(self)
        heads = range(self.HEADS)
        self.query_embedding_layers = nn.ModuleList(two_layers(state, self.HIDDEN, self.EMBED) for _ in heads)
        self.key_embedding_layers = nn.ModuleList(nn.Linear(unit, self.EMBED) for _ in heads)
        self.head_embedding_layer = two_layers(state, self.HIDDEN, self.HEADS)
        self.constrant_value_layer = two_layers(state, self.EMBED, 1)  # sic

    def forward(self, qs, state, units):
        values, _ = self.attend(self.query_embedding_layers, self.key_embedding_layers, qs, state, units)
        weights = self.head_embedding_layer(state).abs()
        return (weights * torch.stack(values, 1)).sum(1) + self.constrant_value_layer(state).squeeze(1), None


def make_mixer(name, agents, state, unit):
    return {
        "vdn": lambda: Vdn(),
        "qmix": lambda: Qmix(agents, state),
        "qatten": lambda: QattenAuthors(state, unit),
        "qatten-pymarl2": lambda: QattenPymarl2(state, unit),
    }[name]()


class QLearner:
    """PyMARL's: one-step targets, double Q, episodes padded to the longest, masked; Adam as in PyMARL2.

    The batch is time-major: obs [T + 1, B, n, …], actions [T, B, n], rewards, mask and continues [T, B].
    """

    def __init__(self, agent, mixer, lr=5e-4, gamma=0.99, clip=10, compiled=lambda f: f):
        self.agent, self.mixer, self.gamma, self.clip = agent, mixer, gamma, clip
        self.target_agent, self.target_mixer = copy.deepcopy(agent), copy.deepcopy(mixer)
        self.parameters = [*agent.parameters(), *mixer.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr)
        self.loss_of = compiled(self.loss_of)

    def unroll(self, agent, inputs):
        steps, episodes, n = inputs.shape[:3]
        return agent(inputs.flatten(1, 2)).view(steps, episodes, n, -1)

    @staticmethod
    def mix(mixer, qs, state, units):
        q_tot, regulariser = mixer(qs.flatten(0, 1), state.flatten(0, 1), units.flatten(0, 1))
        return q_tot.view(qs.shape[:2]), regulariser

    def loss_of(self, batch):
        none = torch.full_like(batch["actions"][:1], -1)
        last_actions = torch.cat([none, batch["actions"]])
        inputs = agent_inputs(batch["obs"], last_actions, batch["available"].shape[-1])
        q = self.unroll(self.agent, inputs)
        chosen = q[:-1].gather(3, batch["actions"][..., None]).squeeze(3)
        with torch.no_grad():
            target_q = self.unroll(self.target_agent, inputs)
            best = q.detach().masked_fill(batch["available"] == 0, -9999999).argmax(3, keepdim=True)
            next_qs = target_q.gather(3, best).squeeze(3)[1:]
            next_q_tot, _ = self.mix(self.target_mixer, next_qs, batch["state"][1:], batch["units"][1:])
            targets = batch["rewards"] + self.gamma * batch["continues"] * next_q_tot
        q_tot, regulariser = self.mix(self.mixer, chosen, batch["state"][:-1], batch["units"][:-1])
        mask = batch["mask"]
        loss = ((mask * (q_tot - targets)) ** 2).sum() / mask.sum()
        return loss if regulariser is None else loss + (mask.flatten() * regulariser).sum() / mask.sum()

    def update(self, batch):
        loss = self.loss_of(batch)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        return loss.item(), norm.item()
