"""A PyMARL-style environment that lives behind a socket: C++ environments of qatten for Python trainers.

    from qatten_env_client import RemoteMultiAgentEnv
    env = RemoteMultiAgentEnv("unix:/tmp/game")
    env.reset(); reward, terminated, info = env.step([0] * env.n_agents)

Standard library, numpy, and qatten_env_server.py beside it, with which it shares the protocol (docs/protocol.md).
"""

import select
import socket
import struct
import time

import numpy as np

import qatten_env_server as wire


class RemoteError(Exception):
    """The server is gone, silent, too slow, or says what is wrong."""


class RemoteMultiAgentEnv:
    """PyMARL's MultiAgentEnv. An episode that fails ends with terminated = True and info["aborted"] = True, and must not
    be learnt from; the next reset connects anew. `seed` names the episodes' random streams: episode k of two
    environments with the same seed is the same."""

    def __init__(self, endpoint, seed=0, token="", connect_timeout=5.0, reset_timeout=300.0, step_timeout=60.0,
                 heartbeat=2.0, **_):
        self.endpoint, self._seed, self.token = endpoint, seed, token
        self.connect_timeout, self.reset_timeout, self.step_timeout = connect_timeout, reset_timeout, step_timeout
        self.heartbeat = heartbeat
        self.episodes = self.aborted_episodes = 0
        self.sock = None
        self.running = False
        self._connect()

    # PyMARL's interface

    def reset(self, seed=None):
        self.episodes += 1
        key = self._seed if seed is None else seed
        index = self.episodes if seed is None else 0
        # key and stream of the generator, and a seed for servers that have another one
        payload = struct.pack("<QIIIIQ", (key * 0x9E3779B97F4A7C15 + index) % 2**64, key & 0xFFFFFFFF,
                              key >> 32 & 0xFFFFFFFF, index & 0xFFFFFFFF, index >> 32 & 0xFFFFFFFF, 0)
        for attempt in range(3):
            try:
                if self.sock is None:
                    self._connect()
                self._read_result(self._ask(wire.RESET, wire.RESULT, payload, self.reset_timeout))
                if not self.flags & wire.ABORTED:
                    break
                error = RemoteError("the environment failed at reset: %s" % self.text)
            except (RemoteError, wire.ProtocolError) as caught:
                error = caught
                self._drop()
        else:
            raise RemoteError(str(error))
        self.running = True
        return self.get_obs(), self.get_state()

    def step(self, actions):
        if not self.running:
            raise RemoteError("step without a reset before it")
        actions = [int(action) for action in actions]
        for agent, action in enumerate(actions):
            if len(actions) != self.n_agents or not (0 <= action < self.n_actions and self._available[agent, action]):
                raise ValueError("agent %d cannot take action %d" % (agent, action))
        try:
            payload = struct.pack("<%di" % self.n_agents, *actions)
            self._read_result(self._ask(wire.STEP, wire.RESULT, payload, self.step_timeout))
        except (RemoteError, wire.ProtocolError) as error:
            self._drop()
            self.flags, self.reward, self.text = wire.ABORTED, 0.0, str(error)
        self.running = self.flags == 0
        info = dict(zip(self.metric_names, map(float, self._metrics)))
        if self.flags & wire.TRUNCATED:
            info["episode_limit"] = True
        if self.flags & wire.ABORTED:
            self.aborted_episodes += 1
            info = {"aborted": True}
        return self.reward, self.flags != 0, info

    def get_obs(self):
        return list(self._obs)

    def get_obs_agent(self, agent_id):
        return self._obs[agent_id]

    def get_obs_size(self):
        return self.layout.obs_shape

    def get_state(self):
        return self._state

    def get_state_size(self):
        return self.layout.state_shape

    def get_avail_actions(self):
        return self._available.tolist()

    def get_avail_agent_actions(self, agent_id):
        return self._available[agent_id].tolist()

    def get_total_actions(self):
        return self.layout.n_actions

    def get_units(self):
        """(n_agents, unit_dim): the agents' unit features, Qatten's u_i."""
        return self._units

    def get_alive(self):
        return self._alive.tolist()

    def get_stats(self):
        fields = wire.unpack_blocks(self._ask(wire.STATS, wire.STATS_RESULT, b"", self.step_timeout))
        names = wire.take(fields, "names", str)
        return dict(zip(names.split("\n") if names else [], map(float, wire.take(fields, "values", np.float64))))

    def get_env_info(self):
        layout = self.layout
        return {"state_shape": layout.state_shape, "obs_shape": layout.obs_shape, "n_actions": layout.n_actions,
                "n_agents": layout.n_agents, "episode_limit": layout.episode_limit, "unit_dim": layout.unit_dim}

    def save_replay(self):
        return wire.take(wire.unpack_blocks(self._ask(wire.SAVE_REPLAY, wire.REPLAY_SAVED, b"", self.step_timeout)),
                         "path", str)

    def seed(self):
        return self._seed

    def render(self):
        raise NotImplementedError("a remote environment is not rendered")

    def close(self):
        if self.sock is not None:
            try:
                self._ask(wire.CLOSE, wire.BYE, b"", self.connect_timeout)
            except (RemoteError, wire.ProtocolError):
                pass
            self._drop()

    # The wire

    def _connect(self):
        kind, address = wire.parse_endpoint(self.endpoint)
        try:
            if kind == "unix":
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(self.connect_timeout)
                self.sock.connect(address)
            else:
                self.sock = socket.create_connection(address, self.connect_timeout)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self._drop()
            raise RemoteError("cannot connect to %s: %s" % (self.endpoint, error))
        self.decoder = wire.FrameDecoder()
        self.session = self.sequence = 0
        hello = dict(versions=np.array([wire.MAJOR, wire.MAJOR], np.uint8), seed=np.uint64(self._seed),
                     heartbeat=np.float64(self.heartbeat), name="qatten_env_client")
        if self.token:
            hello["token"] = np.frombuffer(self.token.encode(), np.uint8)
        try:
            payload = self._ask(wire.HELLO, wire.WELCOME, wire.pack_blocks(**hello), self.reset_timeout)
            self._agree(wire.unpack_blocks(payload))
        except (RemoteError, wire.ProtocolError):
            self._drop()
            raise

    def _agree(self, welcome):
        names = wire.take(welcome, "metric_names", str)
        self.metric_names = names.split("\n") if names else []
        self.layout = wire.Layout(wire.take(welcome, "sizes", np.int32, 6), len(self.metric_names))
        self.description = wire.take(welcome, "description", str)
        self.n_agents, self.n_actions = self.layout.n_agents, self.layout.n_actions
        self.episode_limit = self.layout.episode_limit
        self.decoder.limit = self.layout.result_bytes + wire.SLACK

    def _drop(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = None
        self.running = False

    def _ask(self, kind, answer, payload, timeout):
        """Sends a request; the payload of its answer."""
        if self.sock is None:
            raise RemoteError("not connected")
        self.sequence += 1
        try:
            self.sock.settimeout(self.connect_timeout)
            self.sock.sendall(wire.make_frame(kind, self.session, self.sequence, payload))
        except OSError as error:
            raise RemoteError("cannot send: %s" % error)
        while True:
            got, session, sequence, payload = self._receive(time.monotonic() + timeout)
            if got == wire.BUSY:
                continue
            if got == wire.ERROR:
                raise RemoteError("the server says: %s" % wire.take(wire.unpack_blocks(payload), "text", str))
            if got != answer or sequence != self.sequence or (self.session and session != self.session):
                raise RemoteError("got the answer to another request")
            self.session = session
            return payload

    def _receive(self, deadline):
        while True:
            frame = self.decoder.next()
            if frame is not None:
                return frame
            patience = min(deadline - time.monotonic(), 3.5 * self.heartbeat)
            if not select.select([self.sock], [], [], max(0.0, patience))[0]:
                raise RemoteError("no answer in time" if patience < 3.5 * self.heartbeat else "no sign of life")
            try:
                data = self.sock.recv(1 << 16)
            except OSError as error:
                raise RemoteError("connection lost: %s" % error)
            if not data:
                raise RemoteError("the server closed the connection")
            self.decoder.feed(data)

    def _read_result(self, payload):
        if len(payload) < self.layout.result_bytes:
            raise RemoteError("RESULT has %d bytes, expected %d" % (len(payload), self.layout.result_bytes))
        _, self.flags, self.reward, _ = struct.unpack_from("<IIfI", payload)
        tail = wire.unpack_blocks(payload[self.layout.result_bytes :])
        self.text = tail.get(wire.FIELDS["text"], "")
        if self.flags & wire.ABORTED:
            return
        views = self.layout.views(payload, 0)
        self._obs, self._state, self._units = views["obs"], views["state"], views["units"]
        self._available, self._alive, self._metrics = views["available"], views["alive"], views["metrics"]
