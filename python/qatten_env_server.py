#!/usr/bin/env python3
"""Serves a Python environment to qatten (or any client of qenv/1, see docs/protocol.md).

    qatten_env_server.py --env smac.env:StarCraft2Env --arg map_name=3m --listen unix:/tmp/smac

One process serves one connection and makes one environment for it. Which environment is decided here, on the command
line, and by nobody else. Needs Python 3.8 and numpy. On its standard output the server prints one line, LISTENING and
its endpoint; everything else, prints of the environment included, goes to the standard error.
"""

import argparse
import ast
import hmac
import importlib
import inspect
import json
import os
import platform
import secrets
import select
import signal
import socket
import stat
import struct
import sys
import threading
import time
import traceback
import zlib

import numpy as np

NAME = "qatten_env_server 0.1.0"

# ---------------------------------------------------------------------------------------------------------------- wire

MAGIC = 0x564E4551
MAJOR, MINOR = 1, 0
HEADER = struct.Struct("<IBBHIIIIII")
SLACK = 64 * 1024
MAX_PAYLOAD = 64 * 1024 * 1024

HELLO, WELCOME, RESET, STEP, RESULT, STATS, STATS_RESULT, SAVE_REPLAY, REPLAY_SAVED = range(1, 10)
PING, PONG, BUSY, CLOSE, BYE, ERROR = range(10, 16)

BAD_FRAME, VERSION, TOKEN, TOO_LARGE, BAD_STATE, BAD_PAYLOAD, UNAVAILABLE_ACTION, CONSTRUCTION = range(1, 9)
ENVIRONMENT_DEAD, TIMEOUT, SHUTTING_DOWN, INTERNAL = range(9, 13)

FIELDS = {"versions": 1, "token": 2, "seed": 3, "heartbeat": 4, "name": 5, "version": 6, "sizes": 10,
          "metric_names": 11, "environment": 12, "description": 13, "abilities": 14, "code": 20, "text": 21,
          "fatal": 22, "names": 30, "values": 31, "path": 32}
DTYPES = {1: "u1", 2: "<i4", 3: "<i8", 4: "<f4", 5: "<f8", 6: "u1", 7: "u1", 8: "<u2", 9: "<u8"}
DTYPE_CODES = {np.dtype(np.uint8): 1, np.dtype(np.int32): 2, np.dtype(np.int64): 3, np.dtype(np.float32): 4,
               np.dtype(np.float64): 5, np.dtype(np.uint16): 8, np.dtype(np.uint64): 9}

TERMINATED, TRUNCATED, ABORTED = 1, 2, 4


class ProtocolError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class ConnectionLost(Exception):
    pass


def round_up_8(n):
    return (n + 7) // 8 * 8


def pad_8(data):
    return data + bytes(-len(data) % 8)


def finish_frame(frame, kind, session, sequence):
    """Writes the header into a bytearray that holds 32 bytes of room and a payload of a multiple of 8 bytes."""
    HEADER.pack_into(frame, 0, MAGIC, MAJOR, MINOR, kind, session, sequence, len(frame) - HEADER.size, 0, 0, 0)
    struct.pack_into("<I", frame, 24, zlib.crc32(frame))
    return frame


def make_frame(kind, session, sequence, payload=b""):
    return finish_frame(bytearray(HEADER.size) + pad_8(payload), kind, session, sequence)


class FrameDecoder:
    """Cuts a stream of bytes, however it arrives, into frames."""

    def __init__(self):
        self.limit = SLACK
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """(kind, session, sequence, payload), or None while it is not complete."""
        if len(self.buffer) < HEADER.size:
            return None
        magic, major, _, kind, session, sequence, size, flags, checksum, reserved = HEADER.unpack_from(self.buffer)
        if magic == 0x51454E56:
            raise ProtocolError(BAD_FRAME, "the other side is big-endian, expected little-endian")
        if magic != MAGIC:
            raise ProtocolError(BAD_FRAME, "got no QENV magic: the other side speaks something else")
        if major != MAJOR:
            raise ProtocolError(VERSION, "got version %d, expected %d" % (major, MAJOR))
        if flags != 0 or reserved != 0 or size % 8 != 0:
            raise ProtocolError(BAD_FRAME, "a reserved field is not zero or the payload no multiple of 8 bytes")
        if size > self.limit:
            raise ProtocolError(TOO_LARGE, "got a payload of %d bytes, expected at most %d" % (size, self.limit))
        end = HEADER.size + size
        if len(self.buffer) < end:
            return None
        frame = bytes(self.buffer[:end])
        del self.buffer[:end]
        if zlib.crc32(frame[28:], zlib.crc32(bytes(4), zlib.crc32(frame[:24]))) != checksum:
            raise ProtocolError(BAD_FRAME, "the checksum does not match: the frame was damaged")
        return kind, session, sequence, frame[HEADER.size:]


def pack_blocks(**fields):
    """Text, or arrays of the types of DTYPE_CODES, by the names of FIELDS."""
    out = bytearray()
    for name, value in fields.items():
        if isinstance(value, str):
            data, code = value.encode(), 6
            count = len(data)
        else:
            value = np.atleast_1d(value)
            data, code, count = value.tobytes(), DTYPE_CODES[value.dtype], value.size
        out += struct.pack("<HBBIII", FIELDS[name], code, 1, len(data), count, 0)
        out += pad_8(data)
    return bytes(out)


def unpack_blocks(payload):
    """{field number: text or array}. Raises ProtocolError unless the payload is blocks from end to end."""
    fields, at, size = {}, 0, len(payload)
    while at < size:
        if size - at < 8:
            raise ProtocolError(BAD_PAYLOAD, "blocks: cut off in a header")
        field, code, dimensions, count = struct.unpack_from("<HBBI", payload, at)
        start = at + round_up_8(8 + 4 * dimensions)
        if code not in DTYPES or dimensions > 4 or field in fields or start + round_up_8(count) > size:
            raise ProtocolError(BAD_PAYLOAD, "blocks: unknown dtype, too many dimensions, a field twice, or cut off")
        dtype = np.dtype(DTYPES[code])
        elements = 1
        for extent in struct.unpack_from("<%dI" % dimensions, payload, at + 8):
            elements *= extent
        if elements * dtype.itemsize != count:
            raise ProtocolError(BAD_PAYLOAD, "blocks: the dimensions do not match the bytes")
        value = np.frombuffer(payload, dtype, elements, start)
        fields[field] = value.tobytes().decode(errors="replace") if code == 6 else value
        at = start + round_up_8(count)
    return fields


def take(fields, name, kind, count=None):
    """A text (kind str) or an array of `count` numbers of that dtype."""
    value = fields.get(FIELDS[name])
    fits = isinstance(value, str) if kind is str else (
        isinstance(value, np.ndarray) and value.dtype == np.dtype(kind) and count in (None, value.size))
    if not fits:
        raise ProtocolError(BAD_PAYLOAD, "blocks: %s is missing or of another type or size" % name)
    return value


class Layout:
    """The fixed layouts, from the sizes agreed in the handshake."""

    def __init__(self, sizes, n_metrics):
        limits = (1 << 16, 1 << 20, 1 << 24, 1 << 24, 1 << 24, 1 << 30)
        least = (1, 1, 1, 0, 0, 1)
        names = ("n_agents", "n_actions", "obs_shape", "state_shape", "unit_dim", "episode_limit")
        for name, size, low, high in zip(names, sizes, least, limits):
            if not low <= size <= high:
                raise ProtocolError(BAD_PAYLOAD, "%s is %d, expected %d ... %d" % (name, size, low, high))
            setattr(self, name, int(size))
        self.sizes = tuple(int(size) for size in sizes)
        self.n_metrics = n_metrics
        self.parts = {}
        self.result_bytes = 16
        for name, dtype, shape in (("metrics", "<f8", (n_metrics,)),
                                   ("obs", "<f4", (self.n_agents, self.obs_shape)),
                                   ("state", "<f4", (self.state_shape,)),
                                   ("units", "<f4", (self.n_agents, self.unit_dim)),
                                   ("available", "u1", (self.n_agents, self.n_actions)),
                                   ("alive", "u1", (self.n_agents,))):
            self.parts[name] = (self.result_bytes, dtype, shape)
            count = 1
            for extent in shape:
                count *= extent
            self.result_bytes += round_up_8(count * np.dtype(dtype).itemsize)
        if self.result_bytes > MAX_PAYLOAD - SLACK:
            raise ProtocolError(BAD_PAYLOAD, "a result takes %d bytes, more than a frame may hold" % self.result_bytes)
        self.step_bytes = round_up_8(4 * self.n_agents)

    def views(self, buffer, offset):
        """Arrays over a result that lies in `buffer` at `offset`."""
        views = {}
        for name, (start, dtype, shape) in self.parts.items():
            count = int(np.prod(shape))
            views[name] = np.frombuffer(buffer, dtype, count, offset + start).reshape(shape)
        return views


# ------------------------------------------------------------------------------------------------------------ adapters
#
# An adapter shows every environment alike:
#
#   n_agents, n_actions, obs_shape, state_shape, unit_dim, episode_limit, metric_names, seedable
#   reset(seed)
#   step(actions) -> reward, terminated, truncated, info
#   look(views)     writes obs, state, units, available, alive
#   stats(), save_replay(), close()


class EnvironmentFailed(Exception):
    """The episode is void and the environment must be made anew."""


def call_stats(env):
    """get_stats, which in SMAC divides by zero before the first battle has ended."""
    if not hasattr(env, "get_stats"):
        return {}
    try:
        stats = env.get_stats()
    except ZeroDivisionError:
        stats = {name: getattr(env, name, 0) for name in ("battles_won", "battles_game", "timeouts", "force_restarts")}
        stats["win_rate"] = 0.0
    return {str(k): float(v) for k, v in stats.items() if np.isscalar(v)}


def accepts(function, name):
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def pick(source, names, default=None):
    """The first of these attributes that there is, called if it is a function."""
    for name in names:
        value = getattr(source, name, None)
        if value is not None:
            return value() if callable(value) else value
    return default


class PymarlAdapter:
    """get_obs, get_state, get_avail_actions and step -> (reward, terminated, info): PyMARL, SMAC, SMACv2. Also their
    five-tuple relatives, (obs, reward, terminated, truncated, info): EPyMARL's environments."""

    def __init__(self, env, options):
        self.env = env
        info = env.get_env_info()
        self.n_agents = int(info["n_agents"])
        self.n_actions = int(info["n_actions"])
        self.obs_shape = int(np.prod(info["obs_shape"]))
        self.state_shape = int(np.prod(info["state_shape"]))
        self.episode_limit = int(options.episode_limit or info["episode_limit"])
        self.seedable = accepts(env.reset, "seed")
        self.smac = hasattr(env, "force_restarts")
        self.metric_names = options.metrics
        if self.metric_names is None:
            self.metric_names = ["battle_won", "dead_allies", "dead_enemies"] if hasattr(env, "battles_won") else []
        self.unit_dim = self._unit_dim(info, options)
        if self.n_agents * self.unit_dim > self.state_shape and not hasattr(env, "get_state_dict"):
            raise ValueError("unit_dim %d for %d agents does not fit a state of %d" %
                             (self.unit_dim, self.n_agents, self.state_shape))

    def _unit_dim(self, info, options):
        if options.unit_dim is not None:
            return options.unit_dim
        if "unit_dim" in info:
            return int(info["unit_dim"])
        if hasattr(self.env, "shield_bits_ally") and hasattr(self.env, "unit_type_bits"):
            own = pick(self.env, ["get_ally_num_attributes"])  # SMACv2 may add attributes
            return int(own) if own is not None else 4 + self.env.shield_bits_ally + self.env.unit_type_bits
        return len(info.get("agent_features", ()))

    def reset(self, seed):
        self.env.reset(seed=seed) if self.seedable else self.env.reset()

    def step(self, actions):
        restarts = getattr(self.env, "force_restarts", 0)
        timeouts = getattr(self.env, "timeouts", 0)
        outcome = self.env.step(actions)
        if len(outcome) == 5:
            _, reward, terminated, truncated, info = outcome
            terminated, truncated = bool(np.all(terminated)), bool(np.all(truncated))
        else:
            reward, terminated, info = outcome
            truncated = False
        if getattr(self.env, "force_restarts", 0) != restarts:
            raise EnvironmentFailed("the game crashed and was restarted")
        if terminated and not info and self.smac:
            raise EnvironmentFailed("the episode ended without info: the game crashed")
        if info.get("episode_limit", False) or getattr(self.env, "timeouts", 0) != timeouts:
            terminated, truncated = False, True
        return float(np.sum(reward)), bool(terminated), bool(truncated), info

    def look(self, views):
        copy_rows("obs", views["obs"], self.env.get_obs())
        state = copy_into("state", views["state"], self.env.get_state())
        copy_into("available", views["available"], self.env.get_avail_actions())
        views["alive"][:] = self._alive()
        if self.unit_dim:
            views["units"][:] = self._units(state)

    def _units(self, state):
        if getattr(self.env, "obs_instead_of_state", False):
            return np.asarray(self.env.get_state_dict()["allies"], np.float32)[:, : self.unit_dim]
        return state[: self.n_agents * self.unit_dim].reshape(self.n_agents, self.unit_dim)

    def _alive(self):
        env = self.env
        if hasattr(env, "get_alive"):
            return env.get_alive()
        if hasattr(env, "get_unit_by_id"):  # SMAC
            return [env.get_unit_by_id(i).health > 0 for i in range(self.n_agents)]
        return 1

    def stats(self):
        return call_stats(self.env)

    def save_replay(self):
        return str(self.env.save_replay() or getattr(self.env, "replay_dir", "") or "")

    def close(self):
        if hasattr(self.env, "close"):
            self.env.close()


class GymnasiumAdapter:
    """reset(seed) -> (observations, info) and step -> (observations, reward, terminated, truncated, info), with an
    observation for each agent (SMAClite, robotic warehouse, foraging) or for one agent alone."""

    def __init__(self, env, options):
        self.env = env
        self.raw = getattr(env, "unwrapped", env)
        action_spaces, observation_spaces = env.action_space, env.observation_space
        self.single = not hasattr(action_spaces, "spaces") and not hasattr(action_spaces, "__len__")
        self.action_spaces = [action_spaces] if self.single else list(getattr(action_spaces, "spaces", action_spaces))
        observation_spaces = [observation_spaces] if self.single else list(
            getattr(observation_spaces, "spaces", observation_spaces))
        for space in self.action_spaces:
            if not hasattr(space, "n"):
                raise ValueError("action space %s, expected Discrete for every agent" % (space,))
        self.starts = [int(getattr(space, "start", 0)) for space in self.action_spaces]
        self.n_agents = len(self.action_spaces)
        self.n_actions = max([int(space.n) for space in self.action_spaces] + [int(getattr(self.raw, "n_actions", 0))])
        self.encoders = [observation_encoder(space) for space in observation_spaces]
        self.obs_shape = max(size for size, _ in self.encoders)
        self.own_state = hasattr(self.raw, "get_state") and hasattr(self.raw, "state_size")
        self.state_shape = int(pick(self.raw, ["state_size"])) if self.own_state else self.n_agents * self.obs_shape
        limit = options.episode_limit or getattr(self.raw, "episode_limit", None) or getattr(
            getattr(env, "spec", None), "max_episode_steps", None)
        if not limit:
            raise ValueError("this environment knows no episode limit: give --episode-limit")
        self.episode_limit = int(limit)
        self.metric_names = options.metrics or []
        self.unit_dim = options.unit_dim
        if self.unit_dim is None:
            self.unit_dim = int(getattr(self.raw, "ally_state_feat_size", 0) if self.own_state else 0)
        if self.n_agents * self.unit_dim > self.state_shape:
            raise ValueError("unit_dim %d for %d agents does not fit the state" % (self.unit_dim, self.n_agents))
        self.seedable = True
        self.observations = None
        self.info = {}
        self.base_mask = np.zeros((self.n_agents, self.n_actions), np.uint8)
        for i, space in enumerate(self.action_spaces):
            self.base_mask[i, : int(space.n)] = 1

    def reset(self, seed):
        outcome = self.env.reset(seed=seed % 2**31)
        self.observations, self.info = outcome if isinstance(outcome, tuple) and len(outcome) == 2 and isinstance(
            outcome[1], dict) else (outcome, {})

    def step(self, actions):
        actions = [int(action) + start for action, start in zip(actions, self.starts)]
        outcome = self.env.step(actions[0] if self.single else actions)
        self.observations, reward, terminated, truncated, info = outcome
        self.info = info
        return float(np.sum(reward)), bool(np.all(terminated)), bool(np.all(truncated)), info

    def look(self, views):
        observations = [self.observations] if self.single else self.observations
        if len(observations) != self.n_agents:
            raise EnvironmentFailed("got %d observations, expected %d" % (len(observations), self.n_agents))
        for row, observation, (size, encode) in zip(views["obs"], observations, self.encoders):
            copy_into("obs", row[:size], encode(observation))
        state = copy_into("state", views["state"], self.raw.get_state()) if self.own_state else views["obs"].reshape(-1)
        if not self.own_state:
            views["state"][:] = state
        copy_into("available", views["available"], self._mask())
        views["alive"][:] = self._alive()
        if self.unit_dim:
            views["units"][:] = state[: self.n_agents * self.unit_dim].reshape(self.n_agents, self.unit_dim)

    def _mask(self):
        if hasattr(self.raw, "get_avail_actions"):
            return self.raw.get_avail_actions()
        mask = self.info.get("action_mask", self.info.get("avail_actions"))
        return self.base_mask if mask is None else np.reshape(mask, self.base_mask.shape)

    def _alive(self):
        agents = getattr(self.raw, "agents", None)
        if isinstance(agents, dict) and all(hasattr(unit, "hp") for unit in agents.values()):  # SMAClite drops the dead
            return [i in agents and agents[i].hp > 0 for i in range(self.n_agents)]
        return 1

    def stats(self):
        return call_stats(self.raw)

    def save_replay(self):
        raise ValueError("this environment saves no replays")

    def close(self):
        self.env.close()


class PettingZooAdapter:
    """PettingZoo's ParallelEnv. Every possible agent keeps its place; one that has left is dead, sees zeros, and may
    only take action 0, which is then not passed on."""

    def __init__(self, env, options):
        self.env = env
        self.names = list(env.possible_agents)
        self.n_agents = len(self.names)
        self.counts = [int(env.action_space(name).n) for name in self.names]
        self.starts = [int(getattr(env.action_space(name), "start", 0)) for name in self.names]
        self.n_actions = max(self.counts)
        self.encoders = [observation_encoder(env.observation_space(name)) for name in self.names]
        self.obs_shape = max(size for size, _ in self.encoders)
        space = getattr(env, "state_space", None)
        self.own_state = space is not None
        self.state_shape = int(np.prod(space.shape)) if self.own_state else self.n_agents * self.obs_shape
        limit = options.episode_limit or getattr(getattr(env, "unwrapped", env), "max_cycles", None)
        if not limit:
            raise ValueError("this environment knows no episode limit: give --episode-limit")
        self.episode_limit = int(limit)
        self.metric_names = options.metrics or []
        self.unit_dim = options.unit_dim or 0
        if self.n_agents * self.unit_dim > self.state_shape:
            raise ValueError("unit_dim %d for %d agents does not fit the state" % (self.unit_dim, self.n_agents))
        self.seedable = True
        self.observations, self.infos = {}, {}

    def reset(self, seed):
        outcome = self.env.reset(seed=seed % 2**31)
        self.observations, self.infos = outcome if isinstance(outcome, tuple) else (outcome, {})

    def step(self, actions):
        chosen = {name: int(actions[i]) + self.starts[i] for i, name in enumerate(self.names) if name in self.env.agents}
        self.observations, rewards, terminations, truncations, self.infos = self.env.step(chosen)
        over = not self.env.agents or all(
            terminations.get(name, False) or truncations.get(name, False) for name in chosen)
        # Ended by a cut only if nobody's end was its own.
        truncated = over and any(truncations.values()) and not any(terminations.values())
        info = {}
        for own in self.infos.values():
            info.update({k: v for k, v in own.items() if np.isscalar(v)})
        return float(sum(rewards.values())), over and not truncated, truncated, info

    def look(self, views):
        for i, name in enumerate(self.names):
            here = name in self.observations and (name in self.env.agents or not self.env.agents)
            views["alive"][i] = here
            views["obs"][i] = 0
            views["available"][i] = 0
            views["available"][i, 0] = 1
            if not here:
                continue
            observation = self.observations[name]
            mask = self.infos.get(name, {}).get("action_mask")
            if isinstance(observation, dict):
                mask = observation.get("action_mask", mask)
            size, encode = self.encoders[i]
            copy_into("obs", views["obs"][i, :size], encode(observation))
            views["available"][i, : self.counts[i]] = 1 if mask is None else np.asarray(mask) != 0
        state = self.env.state() if self.own_state else views["obs"]
        copy_into("state", views["state"], np.reshape(state, -1))
        if self.unit_dim:
            views["units"][:] = views["state"][: self.n_agents * self.unit_dim].reshape(self.n_agents, self.unit_dim)

    def stats(self):
        return call_stats(self.env)

    def save_replay(self):
        raise ValueError("this environment saves no replays")

    def close(self):
        self.env.close()


def observation_encoder(space):
    """(size, function) that turns an observation of this Gymnasium space into numbers; a Discrete one becomes one-hot,
    of a dict with an action mask only the observation counts."""
    inner = getattr(space, "spaces", None)
    if isinstance(inner, dict) and "observation" in inner:
        size, encode = observation_encoder(inner["observation"])
        return size, lambda observation: encode(observation["observation"])
    if isinstance(inner, (tuple, list)):
        parts = [observation_encoder(part) for part in inner]
        return sum(size for size, _ in parts), lambda observation: np.concatenate(
            [np.reshape(encode(own), -1) for own, (_, encode) in zip(observation, parts)])
    if hasattr(space, "n") and not hasattr(space, "low"):
        n, start = int(np.sum(space.n)), int(getattr(space, "start", 0))
        if np.ndim(space.n) == 0:
            return n, lambda observation: np.arange(n) == int(observation) - start
        return n, lambda observation: np.reshape(observation, -1)  # MultiBinary
    if not getattr(space, "shape", None):
        raise ValueError("observation space %s has no encoding here" % (space,))
    return int(np.prod(space.shape)), lambda observation: np.reshape(observation, -1)


def copy_into(name, view, values):
    values = np.asarray(values)
    if values.shape != view.shape:
        raise EnvironmentFailed("%s has shape %s, expected %s" % (name, values.shape, view.shape))
    view[...] = values
    return view


def copy_rows(name, view, rows):
    if len(rows) != len(view):
        raise EnvironmentFailed("%s has %d rows, expected %d" % (name, len(rows), len(view)))
    for own, row in zip(view, rows):
        copy_into(name, own, row)


ADAPTERS = {"pymarl": PymarlAdapter, "gymnasium": GymnasiumAdapter, "pettingzoo": PettingZooAdapter}


def adapter_for(env, options):
    """By what the environment can do, unless --adapter says which."""
    kind = options.adapter
    if kind is None:
        if hasattr(env, "get_env_info") and hasattr(env, "get_avail_actions"):
            kind = "pymarl"
        elif hasattr(env, "possible_agents"):
            kind = "pettingzoo"
        elif hasattr(env, "action_space") and hasattr(env, "observation_space"):
            kind = "gymnasium"
        else:
            raise ValueError("%s looks like no kind of environment that is known here" % type(env).__name__)
    return ADAPTERS[kind](env, options)


# ------------------------------------------------------------------------------------------------------------- session


class Session:
    """The environment of one connection: what it may do when, and the answers."""

    def __init__(self, make, options, seed):
        self.make, self.options, self.seed = make, options, seed
        self.adapter = adapter_for(make(seed), options)
        a = self.adapter
        sizes = (a.n_agents, a.n_actions, a.obs_shape, a.state_shape, a.unit_dim, a.episode_limit)
        self.layout = Layout(sizes, len(a.metric_names))
        self.metric_names = list(a.metric_names)
        self.frame = bytearray(HEADER.size + self.layout.result_bytes)
        self.views = self.layout.views(self.frame, HEADER.size)
        self.steps = 0
        self.running = False
        self.fresh = None  # the seed of a reset that no step has followed
        self.first = True

    def close(self):
        adapter, self.adapter = self.adapter, None
        if adapter is not None:
            try:
                adapter.close()
            except Exception:  # it is going away, one way or another
                traceback.print_exc()

    def reset(self, seed):
        # Twice in a row breaks SMAC; where the seed changes nothing, or is the same, the answer is known.
        if self.fresh is not None and (self.fresh == seed or not self.adapter.seedable):
            return self.frame
        self.fresh = None
        self.running = False
        for attempt in range(2):
            try:
                if self.adapter is None:
                    self._rebuild()
                self.adapter.reset(seed)
                self.steps = 0
                self._show(0.0, 0, {})
                break
            except Exception as error:
                traceback.print_exc()
                shape_is_wrong = self.first and isinstance(error, EnvironmentFailed)
                self.close()
                if shape_is_wrong or attempt:
                    raise ProtocolError(BAD_PAYLOAD if shape_is_wrong else ENVIRONMENT_DEAD,
                                        "reset failed: " + describe(error))
        self.first = False
        self.running = True
        self.fresh = seed
        return self.frame

    def step(self, actions):
        self.fresh = None
        try:
            reward, terminated, truncated, info = self.adapter.step(actions)
            self.steps += 1
            if not (terminated or truncated) and self.steps >= self.layout.episode_limit:
                truncated = True
            if truncated and self.options.timeouts_as_terminal:
                terminated, truncated = True, False
            if not np.isfinite(reward):
                raise EnvironmentFailed("the reward is %s" % reward)
            flags = TERMINATED if terminated else TRUNCATED if truncated else 0
            self._show(reward, flags, info)
        except Exception as error:
            if not isinstance(error, EnvironmentFailed):
                traceback.print_exc()
            self.running = False
            self.close()
            return self._aborted(describe(error))
        self.running = flags == 0
        return self.frame

    def unavailable(self, actions):
        """Names the first action that may not be taken, if there is one."""
        mask = self.views["available"]
        for agent, action in enumerate(actions):
            if not 0 <= action < self.layout.n_actions or not mask[agent, action]:
                return "agent %d chose action %d, which is not available" % (agent, action)
        return None

    def _rebuild(self):
        self.adapter = adapter_for(self.make(self.seed), self.options)
        a = self.adapter
        if (a.n_agents, a.n_actions, a.obs_shape, a.state_shape, a.unit_dim, a.episode_limit) != self.layout.sizes:
            raise ValueError("the environment has other sizes than before")

    def _show(self, reward, flags, info):
        struct.pack_into("<IIfI", self.frame, HEADER.size, self.steps, flags, reward, 0)
        self.views["metrics"][:] = [float(info.get(name, np.nan)) if flags else 0.0 for name in self.metric_names]
        self.adapter.look(self.views)
        mask = self.views["available"]
        if mask.max() > 1:
            raise EnvironmentFailed("the action mask holds %d, expected 0 or 1" % mask.max())
        if not mask.any(axis=1).all():
            raise EnvironmentFailed("agent %d has no available action" % int(np.argmin(mask.any(axis=1))))
        for name in ("obs", "state", "units"):
            if not np.isfinite(self.views[name]).all():
                raise EnvironmentFailed("%s holds a number that is not finite" % name)

    def _aborted(self, text):
        frame = bytearray(HEADER.size + self.layout.result_bytes)
        struct.pack_into("<IIfI", frame, HEADER.size, self.steps, ABORTED, 0.0, 0)
        return frame + pack_blocks(text=text[:4096])


def describe(error):
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = " (%s:%d)" % (os.path.basename(last[0].filename), last[0].lineno) if last else ""
    return "%s: %s%s" % (type(error).__name__, error, where)


# ---------------------------------------------------------------------------------------------------------- connection


class Connection:
    """One client from handshake to end."""

    def __init__(self, sock, make, options):
        self.sock, self.make, self.options = sock, make, options
        self.decoder = FrameDecoder()
        self.session_id = self.sequence = 0
        self.session = None
        self.lock = threading.Lock()
        self.busy_since = None
        self.done = threading.Event()
        sock.settimeout(options.send_timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def serve(self):
        try:
            self._handshake()
            while self._answer(self._receive(self.options.idle_timeout)):
                pass
        except ConnectionLost:
            pass
        except ProtocolError as error:
            self._tell(error.code, str(error))
        except Exception as error:
            traceback.print_exc()
            self._tell(INTERNAL, describe(error))
        finally:
            self.done.set()
            if self.session is not None:
                self.session.close()
            self.sock.close()

    def transmit(self, frame):
        """Everything that is sent, whole frames, passes here."""
        self.sock.sendall(frame)

    def _handshake(self):
        kind, _, self.sequence, payload = self._receive(self.options.handshake_timeout)
        if kind != HELLO:
            raise ProtocolError(BAD_STATE, "expected HELLO first")
        hello = unpack_blocks(payload)
        low, high = take(hello, "versions", np.uint8, 2)
        if not low <= MAJOR <= high:
            raise ProtocolError(VERSION, "the client speaks versions %d ... %d, the server only %d" % (low, high, MAJOR))
        if self.options.token:
            token = hello.get(FIELDS["token"])
            got = token.tobytes() if isinstance(token, np.ndarray) else b""
            if not hmac.compare_digest(got, self.options.token):
                raise ProtocolError(TOKEN, "the token is wrong" if got else "this server demands a token")
        seed = int(take(hello, "seed", np.uint64, 1)[0])
        period = float(take(hello, "heartbeat", np.float64, 1)[0])
        if not 0.01 <= period <= 60:
            raise ProtocolError(BAD_PAYLOAD, "heartbeat is %s s, expected 0.01 ... 60" % period)
        self.session_id = secrets.randbits(31) + 1
        threading.Thread(target=self._beat, args=(period,), daemon=True).start()
        self.busy_since = time.monotonic()
        try:
            self.session = Session(self.make, self.options, seed)
        except ProtocolError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise ProtocolError(CONSTRUCTION, "the environment could not be made: " + describe(error))
        self.decoder.limit = max(SLACK, self.session.layout.step_bytes)
        self._send(make_frame(WELCOME, self.session_id, self.sequence, self._welcome()))

    def _welcome(self):
        layout, adapter = self.session.layout, self.session.adapter
        abilities = (["seed"] if adapter.seedable else []) + (
            ["save_replay"] if hasattr(adapter.env, "save_replay") else [])
        description = {"environment": self.options.env, "args": self.options.args,
                       "adapter": type(adapter).__name__, "python": platform.python_version(),
                       "numpy": np.__version__, "system": platform.system() + " " + platform.machine(), "pid": os.getpid(),
                       "seed": self.session.seed,
                       "timeouts_as_terminal": self.options.timeouts_as_terminal,
                       "module_version": str(getattr(sys.modules.get(self.options.env.split(":")[0].split(".")[0]),
                                                     "__version__", ""))}
        version = pick(adapter.env, ["version"])
        if version is not None:
            description["environment_version"] = str(version)
        return pack_blocks(version=np.uint8(MAJOR), sizes=np.array(layout.sizes, np.int32),
                           metric_names="\n".join(self.session.metric_names), environment=self.options.env,
                           description=json.dumps(description, default=str), abilities="\n".join(abilities), name=NAME)

    def _answer(self, frame):
        """Does what a frame asks; False when it was the last."""
        kind, session, sequence, payload = frame
        if session != self.session_id:
            raise ProtocolError(BAD_STATE, "the session is another one's")
        if sequence != (self.sequence + 1) & 0xFFFFFFFF:
            raise ProtocolError(BAD_STATE, "the sequence has a gap")
        self.sequence = sequence
        self.busy_since = time.monotonic()
        if kind == STEP:
            self._step(payload)
        elif kind == RESET:
            if len(payload) != 32:
                raise ProtocolError(BAD_PAYLOAD, "RESET has %d bytes, expected 32" % len(payload))
            self._send(finish_frame(self.session.reset(struct.unpack_from("<Q", payload)[0]), RESULT, session, sequence))
        elif kind == STATS:
            stats = self.session.adapter.stats() if self.session.adapter else {}
            self._send(make_frame(STATS_RESULT, session, sequence, pack_blocks(
                names="\n".join(stats), values=np.array(list(stats.values()), np.float64))))
        elif kind == SAVE_REPLAY:
            if self.session.adapter is None:
                raise ProtocolError(BAD_STATE, "there is no environment to save a replay of")
            self._send(make_frame(REPLAY_SAVED, session, sequence, pack_blocks(path=self.session.adapter.save_replay())))
        elif kind == PING:
            self._send(make_frame(PONG, session, sequence))
        elif kind == CLOSE:
            self._send(make_frame(BYE, session, sequence))
            return False
        else:
            raise ProtocolError(BAD_STATE, "frames of type %d are not served" % kind)
        return True

    def _step(self, payload):
        if not self.session.running:
            raise ProtocolError(BAD_STATE, "STEP without a RESET before it")
        if len(payload) != self.session.layout.step_bytes:
            raise ProtocolError(BAD_PAYLOAD, "STEP has %d bytes, expected %d" %
                                (len(payload), self.session.layout.step_bytes))
        actions = list(struct.unpack_from("<%di" % self.session.layout.n_agents, payload))
        problem = self.session.unavailable(actions)
        if problem is not None:
            self._send(make_frame(ERROR, self.session_id, self.sequence, pack_blocks(
                code=np.uint16(UNAVAILABLE_ACTION), fatal=np.uint8(0), text=problem)))
        else:
            self._send(finish_frame(self.session.step(actions), RESULT, self.session_id, self.sequence))

    def _send(self, frame):
        with self.lock:
            self.busy_since = None
            try:
                self.transmit(frame)
            except OSError as error:  # the client is gone, or does not read
                raise ConnectionLost(str(error))

    def _receive(self, timeout):
        self.sock.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            frame = self.decoder.next()
            if frame is not None:
                self.sock.settimeout(self.options.send_timeout)
                return frame
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                raise ProtocolError(TIMEOUT, "nothing to do for too long")
            except OSError as error:
                raise ConnectionLost(str(error))
            if not data:
                raise ConnectionLost("closed")
            self.decoder.feed(data)
            if time.monotonic() > deadline:
                raise ProtocolError(TIMEOUT, "a frame that does not end")

    def _tell(self, code, text):
        try:
            self._send(make_frame(ERROR, self.session_id, self.sequence, pack_blocks(
                code=np.uint16(code), fatal=np.uint8(1), text=text[:4096])))
            # Closing with unread input would reset the connection, and the client might never see why.
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(0.2)
            while self.sock.recv(65536):
                pass
        except (ConnectionLost, OSError):
            pass

    def _beat(self, period):
        """Signs of life during long calls; and the end of this process when nobody is left to answer to."""
        parent = os.getppid()
        while not self.done.wait(period):
            since = self.busy_since
            if os.getppid() != parent or (since is not None and peer_is_gone(self.sock)):
                os.killpg(0, signal.SIGKILL)
            if since is None or time.monotonic() - since < period:
                continue
            with self.lock:
                if self.busy_since is not None:
                    try:
                        self.transmit(make_frame(BUSY, self.session_id, self.sequence))
                    except OSError:
                        pass  # the main thread will find out, or the next beat


class Replay(Connection):
    """Plays the server's side of a recording: the k-th connection that is made gets the k-th one that was recorded, and
    must ask what was asked then."""

    OPENED, SENT, RECEIVED, CLOSED = range(4)

    def serve(self):
        self.decoder.limit = MAX_PAYLOAD
        try:
            for event, data in self._events():
                if event == self.RECEIVED:
                    self.transmit(data)
                elif event == self.SENT:
                    self._expect(data)
            if event != self.CLOSED:  # the recording ends here, whatever came next
                self._receive(self.options.idle_timeout)
        except (ConnectionLost, OSError):
            pass
        except ProtocolError as error:
            self._tell(error.code, str(error))
        finally:
            self.done.set()
            self.sock.close()

    def _events(self):
        """What happened to this connection."""
        with open(self.options.replay, "rb") as file:
            data = file.read()
        if data[:8] != b"QENVREC1":
            raise ProtocolError(INTERNAL, "%s does not start with QENVREC1" % self.options.replay)
        at, connection, events = 8, 0, []
        while at + 16 <= len(data):
            _, event, size = struct.unpack_from("<QII", data, at)
            connection += event == self.OPENED
            if connection == self.options.connections:
                events.append((event, data[at + 16 : at + 16 + size]))
            at += 16 + size
        if not events:
            raise ProtocolError(BAD_STATE, "the recording has no connection %d" % self.options.connections)
        return events

    def _expect(self, data):
        recorded = FrameDecoder()
        recorded.limit = MAX_PAYLOAD
        recorded.feed(data)
        expected, got = recorded.next(), self._receive(self.options.idle_timeout)
        self.session_id, self.sequence = got[1], got[2]
        if got != expected and not got[0] == expected[0] == HELLO:  # tokens are not recorded, names and seeds no matter
            raise ProtocolError(BAD_STATE, "request %d (type %d) is not the recorded one (type %d)" %
                                (got[2], got[0], expected[0]))


# -------------------------------------------------------------------------------------------------------------- server


def parse_endpoint(text):
    kind, _, rest = text.partition(":")
    if kind == "unix" and 0 < len(rest.encode()) <= 107:
        return kind, rest
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and port.isdigit() and int(port) < 65536:
        return kind, (host.strip("[]"), int(port))
    raise SystemExit("--listen: got %r, expected unix:PATH (at most 107 bytes) or tcp:HOST:PORT" % text)


def listen(options):
    kind, address = parse_endpoint(options.listen)
    if kind == "unix":
        try:
            if stat.S_ISSOCK(os.lstat(address).st_mode):
                os.unlink(address)
        except FileNotFoundError:
            pass
        listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)  # ours alone
        try:
            listener.bind(address)
        finally:
            os.umask(mask)
        listener.listen(128)
        return listener, "unix:" + address
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    loopback = host in ("localhost", "::1") or host.startswith("127.")
    if not loopback and not options.allow_remote:
        raise SystemExit("--listen %s is reachable from other machines: that takes --allow-remote and a token" % host)
    if not loopback and not options.token:
        raise SystemExit("--allow-remote takes a token: --token-file FILE, or QATTEN_TOKEN in the environment")
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1" if host == "localhost" else host, port))
    listener.listen(128)
    host, port = listener.getsockname()[:2]
    return listener, "tcp:%s:%d" % ("[%s]" % host if ":" in host else host, port)


class Server:
    """Accepts; a child process serves each connection, in a group of its own with all that it starts."""

    def __init__(self, make, options, connection=Connection):
        self.make, self.options, self.connection = make, options, connection
        self.children = {}  # process: its socket, and since when its client is known to be gone

    def run(self):
        listener, endpoint = listen(self.options)
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # but it ends the select
        announce(endpoint)
        if self.options.parent:
            threading.Thread(target=watch_parent, daemon=True).start()
        try:
            while True:
                self.reap()
                ready, _, _ = select.select([listener, wake], [], [], 0.5)
                if wake in ready:
                    os.read(wake, 4096)
                if listener not in ready:
                    continue
                sock, _ = listener.accept()
                self.options.connections += 1
                if self.options.parent:
                    restore_signals()
                    self.connection(sock, self.make, self.options).serve()
                elif len(self.children) >= self.options.max_connections:
                    sock.close()
                else:
                    self.fork(listener, sock)
        finally:
            listener.close()
            if endpoint.startswith("unix:"):
                unlink_quietly(endpoint[5:])
            for child in list(self.children):
                kill_group(child, signal.SIGTERM)
            deadline = time.monotonic() + 5
            while self.children and time.monotonic() < deadline:
                self.reap()
                time.sleep(0.02)
            for child in list(self.children):
                kill_group(child, signal.SIGKILL)

    def fork(self, listener, sock):
        pid = os.fork()
        if pid:
            try:
                os.setpgid(pid, pid)  # in both processes: whoever comes first
            except OSError:
                pass  # it has ended already
            self.children[pid] = [sock, None]
            return
        status = 1
        try:
            os.setpgid(0, 0)
            restore_signals()
            listener.close()
            for other, _ in self.children.values():
                other.close()
            self.connection(sock, self.make, self.options).serve()
            status = 0
        except SystemExit:
            status = 0
        finally:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                sys.stderr.flush()
            finally:  # whatever comes: this process is no server
                os._exit(status)

    def reap(self):
        for child, watched in list(self.children.items()):
            # The dead child's number stays taken until it is waited for: kill what it left in its group before that.
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                self.kill_if_forsaken(child, watched)
                continue
            kill_group(child, signal.SIGKILL)
            os.waitpid(child, 0)
            watched[0].close()
            del self.children[child]

    def kill_if_forsaken(self, child, watched):
        """A child ends when its client goes, unless it is stuck beyond hope."""
        if not peer_is_gone(watched[0]):
            return
        if watched[1] is None:
            watched[1] = time.monotonic()
        elif time.monotonic() - watched[1] > self.options.kill_after:
            kill_group(child, signal.SIGKILL)


def kill_group(group, number):
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass  # nobody, or only the dead, left in it


def restore_signals():
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def peer_is_gone(sock):
    hung_up = getattr(select, "POLLRDHUP", 0)
    poller = select.poll()
    poller.register(sock, hung_up)
    return any(events & (select.POLLHUP | select.POLLERR | hung_up) for _, events in poller.poll(0))


def announce(endpoint):
    os.write(SAVED_STDOUT, ("LISTENING %s\n" % endpoint).encode())


def watch_parent():
    """Returns never: when the standard input ends, our parent has, and we follow."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3)
    os.killpg(0, signal.SIGKILL)


def unlink_quietly(path):
    try:
        os.unlink(path)
    except OSError:
        pass


def literal(text):
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("got %r, expected NAME=VALUE" % text)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def load(name):
    module, separator, attribute = name.partition(":")
    if not separator:
        raise SystemExit("--env: got %r, expected MODULE:CLASS" % name)
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found
    except (ImportError, AttributeError) as error:
        raise SystemExit("--env %s: %s" % (name, error))


def parse_options(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--env", metavar="MODULE:CLASS", help="a class or function that makes the environment")
    add("--replay", metavar="FILE", help="no environment, but the server's side of a recording")
    add("--arg", action="append", default=[], type=literal, metavar="NAME=VALUE", help="its arguments, Python literals")
    add("--args-json", default="{}", help="more of them, as a JSON object")
    add("--positional", action="append", default=[], help="positional ones, as in gymnasium:make CartPole-v1")
    add("--adapter", choices=sorted(ADAPTERS), help="what kind of environment it is, if it does not show")
    add("--listen", default="tcp:127.0.0.1:0", help="unix:PATH or tcp:HOST:PORT; port 0: any (default: %(default)s)")
    add("--allow-remote", action="store_true", help="listen beyond this machine; takes a token")
    add("--token-file", help="what clients must know is in this file (or in the environment as QATTEN_TOKEN)")
    add("--episode-limit", type=int, help="cut episodes off after so many steps")
    add("--unit-dim", type=int, help="the first n_agents * unit_dim entries of the state are the agents' units")
    add("--metrics", type=lambda text: [m for m in text.split(",") if m], help="names in info to report, by commas")
    add("--timeouts-as-terminal", action="store_true", help="report an end by the limit as terminated, as PyMARL does")
    add("--handshake-timeout", type=float, default=10)
    add("--idle-timeout", type=float, default=900)
    add("--send-timeout", type=float, default=60)
    add("--max-connections", type=int, default=256)
    add("--kill-after", type=float, default=10, help="seconds that a process may outlive its client")
    add("--parent", action="store_true", help="started by a program: end with the standard input, serve in this process")
    options = parser.parse_args(argv)
    if bool(options.env) == bool(options.replay):
        parser.error("expected either --env or --replay")
    options.connections = 0
    options.args = dict(options.arg, **json.loads(options.args_json))
    options.token = os.environ.pop("QATTEN_TOKEN", "").encode()
    if options.token_file:
        with open(options.token_file, "rb") as file:
            options.token = file.read().strip()
    return options


SAVED_STDOUT = 1


def main(argv=None, connection=Connection):
    global SAVED_STDOUT
    options = parse_options(argv)
    if options.parent:
        os.closerange(3, 256)  # what our parent had open is none of our business
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)  # the whole group is killed at the end
    SAVED_STDOUT = os.dup(1)
    os.set_inheritable(SAVED_STDOUT, False)
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    target = load(options.env) if options.env else None

    def make(seed):
        args = dict(options.args)
        if "seed" not in args and accepts(target, "seed"):
            args["seed"] = int(seed % 2**31)
        return target(*options.positional, **args)

    def terminate(*_):
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, terminate)
    Server(make, options, Replay if options.replay else connection).run()


if __name__ == "__main__":
    main()
