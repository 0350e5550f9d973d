"""The Python server from inside: adapters, guards, decoders, command line."""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
import unittest

import numpy as np

import fuzz_server
import mock_smac
import qatten_env_client
import qatten_env_server as server


def options(**changes):
    values = dict(adapter=None, episode_limit=None, unit_dim=None, metrics=None, timeouts_as_terminal=False, env="t:E",
                  args={}, token=b"", handshake_timeout=5, idle_timeout=5, send_timeout=5)
    values.update(changes)
    return types.SimpleNamespace(**values)


def session(make, **changes):
    return server.Session(make if callable(make) else lambda seed: make, options(**changes), 1)


def outcome(frame):
    steps, flags, reward, _ = struct.unpack_from("<IIfI", frame, server.HEADER.size)
    return steps, flags, reward


def text_of(frame, s):
    return server.unpack_blocks(bytes(frame[server.HEADER.size + s.layout.result_bytes :]))[server.FIELDS["text"]]


class Small:
    """PyMARL's interface, counting its calls; `plan` says what each step returns."""

    n_agents, resets = 2, 0

    def __init__(self, plan=(), limit=10):
        self.plan, self.limit, self.t = list(plan), limit, 0

    def get_env_info(self):
        return {"n_agents": 2, "n_actions": 3, "obs_shape": 2, "state_shape": 4, "episode_limit": self.limit}

    def reset(self):
        self.resets += 1
        self.t = 0

    def step(self, actions):
        self.actions = actions
        self.t += 1
        return self.plan.pop(0) if self.plan else (1.0, False, {})

    def get_obs(self):
        return [np.full(2, self.t), np.full(2, -self.t)]

    def get_state(self):
        return np.arange(4.0)

    def get_avail_actions(self):
        return [[1, 1, 0], [1, 0, 1]]


class Discrete:
    def __init__(self, n, start=0):
        self.n, self.start = n, start


class Box:
    def __init__(self, *shape):
        self.shape = shape
        self.low = 0


class Tuple:
    def __init__(self, *spaces):
        self.spaces = spaces


class Cart:
    """Gymnasium's interface for one agent."""

    action_space, observation_space = Discrete(2, start=5), Box(3)
    spec = types.SimpleNamespace(max_episode_steps=4)
    seeds = []

    def reset(self, seed=None):
        self.seeds.append(seed)
        return np.array([seed % 7, 0, 0]), {}

    def step(self, action):
        self.action = action
        return np.ones(3), 2.0, False, False, {}

    def close(self):
        pass


class Team:
    """Gymnasium's interface for a team of unequal agents, with rewards of their own."""

    action_space, observation_space = Tuple(Discrete(2), Discrete(4)), Tuple(Box(2), Discrete(3))
    episode_limit = 9

    def reset(self, seed=None):
        return (np.array([1.0, 2.0]), 2), {}

    def step(self, actions):
        self.actions = actions
        return (np.zeros(2), 0), [1.0, 2.0], [True, True], [False, False], {"score": 7}


class Zoo:
    """PettingZoo's parallel interface; agent b leaves after its first step."""

    possible_agents = ["a", "b"]
    agents = []
    max_cycles = 50

    def observation_space(self, name):
        return Box(2)

    def action_space(self, name):
        return Discrete(3 if name == "a" else 2)

    def reset(self, seed=None):
        self.agents = ["b", "a"]
        return {"a": np.ones(2), "b": np.full(2, 2.0)}, {"a": {"action_mask": [0, 1, 1]}, "b": {}}

    def step(self, actions):
        self.given = actions
        first = len(self.agents) == 2
        here = list(self.agents)
        self.agents = ["a"] if first else []
        return ({"a": np.zeros(2)}, {name: 1.0 for name in here}, {name: name == "b" for name in here},
                {name: not first for name in here}, {name: {} for name in here})


class Adapters(unittest.TestCase):
    def test_pymarl(self):
        env = Small([(0.5, True, {"battle_won": True})])
        s = session(env, metrics=["battle_won"], unit_dim=2)
        s.reset(3)
        np.testing.assert_array_equal(s.views["available"], [[1, 1, 0], [1, 0, 1]])
        np.testing.assert_array_equal(s.views["units"], [[0, 1], [2, 3]])
        np.testing.assert_array_equal(s.views["alive"], [1, 1])
        self.assertEqual(outcome(s.step([1, 2])), (1, server.TERMINATED, 0.5))
        self.assertEqual(s.views["metrics"][0], 1)
        np.testing.assert_array_equal(s.views["obs"], [[1, 1], [-1, -1]])

    def test_five_tuples_of_epymarl(self):
        s = session(Small([(None, [1.0, 2.0], False, True, {})]))
        s.reset(1)
        self.assertEqual(outcome(s.step([0, 0])), (1, server.TRUNCATED, 3.0))

    def test_one_agent_of_gymnasium(self):
        env = Cart()
        s = session(env)
        self.assertEqual(s.layout.sizes, (1, 2, 3, 3, 0, 4))
        s.reset(2**63 + 11)
        self.assertEqual(env.seeds[-1], (2**63 + 11) % 2**31)
        for t in range(1, 5):
            self.assertEqual(outcome(s.step([1])), (t, server.TRUNCATED if t == 4 else 0, 2.0))
        self.assertEqual(env.action, 6)

    def test_team_of_gymnasium(self):
        env = Team()
        s = session(env, metrics=["score"])
        self.assertEqual(s.layout.sizes, (2, 4, 3, 6, 0, 9))
        s.reset(1)
        np.testing.assert_array_equal(s.views["obs"], [[1, 2, 0], [0, 0, 1]])
        np.testing.assert_array_equal(s.views["available"], [[1, 1, 0, 0], [1, 1, 1, 1]])
        self.assertEqual(outcome(s.step([1, 3])), (1, server.TERMINATED, 3.0))
        self.assertEqual(env.actions, [1, 3])
        self.assertTrue(all(type(action) is int for action in env.actions))
        self.assertEqual(s.views["metrics"][0], 7)

    def test_pettingzoo_keeps_places(self):
        env = Zoo()
        s = session(env)
        s.reset(1)
        np.testing.assert_array_equal(s.views["obs"], [[1, 1], [2, 2]])
        np.testing.assert_array_equal(s.views["available"], [[0, 1, 1], [1, 1, 0]])
        self.assertEqual(outcome(s.step([2, 1])), (1, 0, 2.0))
        self.assertEqual(env.given, {"a": 2, "b": 1})
        np.testing.assert_array_equal(s.views["alive"], [1, 0])
        np.testing.assert_array_equal(s.views["available"], [[1, 1, 1], [1, 0, 0]])
        self.assertEqual(outcome(s.step([1, 0])), (2, server.TRUNCATED, 1.0))
        self.assertEqual(env.given, {"a": 1})

    def test_what_is_no_environment_is_refused(self):
        for make in (object(), types.SimpleNamespace(action_space=Box(2), observation_space=Box(2))):
            with self.assertRaises(ValueError):
                session(make)

    def test_unknown_limit_is_refused(self):
        env = Cart()
        env.spec = None
        with self.assertRaisesRegex(ValueError, "episode-limit"):
            session(env)
        self.assertEqual(session(env, episode_limit=3).layout.episode_limit, 3)

    def test_smac_layouts(self):
        for name in mock_smac.MAPS:
            s = session(mock_smac.MockSmac(name))
            s.reset(5)
            width = s.layout.unit_dim
            self.assertEqual(width, 4 + s.adapter.env.shield_bits_ally + s.adapter.env.unit_type_bits)
            np.testing.assert_array_equal(s.views["units"].reshape(-1), s.views["state"][: s.views["units"].size])
            self.assertEqual(s.metric_names, ["battle_won", "dead_allies", "dead_enemies"])


class Guards(unittest.TestCase):
    def test_two_resets_in_a_row_are_one(self):
        env = Small()
        s = session(env)
        first = bytes(s.reset(1))
        self.assertEqual(bytes(s.reset(2)), first)  # it cannot be seeded: the seed changes nothing
        self.assertEqual(env.resets, 1)
        s.step([0, 0])
        s.reset(1)
        self.assertEqual(env.resets, 2)

    def test_masks_are_held_before_step(self):
        s = session(Small())
        s.reset(1)
        self.assertIsNone(s.unavailable([1, 2]))
        for actions in ([2, 0], [0, 1], [3, 0], [-1, 0]):
            self.assertIn("not available", s.unavailable(actions))

    def test_limit_that_the_environment_does_not_enforce(self):
        s = session(Small(limit=3))
        s.reset(1)
        self.assertEqual([outcome(s.step([0, 0]))[1] for _ in range(3)], [0, 0, server.TRUNCATED])
        s = session(Small(limit=2), timeouts_as_terminal=True)
        s.reset(1)
        self.assertEqual([outcome(s.step([0, 0]))[1] for _ in range(2)], [0, server.TERMINATED])

    def test_timeouts_of_smac_are_truncations(self):
        for continuing in (False, True):
            s = session(mock_smac.MockSmac("3m", continuing_episode=continuing, frozen=False))
            s.reset(1)
            s.adapter.env.enemies[0].x = 1e6  # nobody can reach it: no battle ends, if our own stay away too
            for unit in s.adapter.env.allies:
                unit.x = -1e6
            flags = [outcome(s.step([1, 1, 1]))[1] for _ in range(60)]
            self.assertEqual(flags, [0] * 59 + [server.TRUNCATED])

    def test_statistics_before_the_first_battle(self):
        s = session(mock_smac.MockSmac("3m"))
        self.assertEqual(s.adapter.stats()["win_rate"], 0)

    def test_failures_void_the_episode_and_rebuild(self):
        for fault in ("crash", "restart", "bad_shape", "bad_mask", "not_finite"):
            made = []

            def make(seed):
                made.append(mock_smac.MockSmac("3m", faults=fault + "@2" if not made else ""))
                return made[-1]

            s = session(make)
            s.reset(1)
            self.assertEqual(outcome(s.step([1, 1, 1]))[1], 0)
            frame = s.step([1, 1, 1])
            self.assertEqual(outcome(frame)[1], server.ABORTED, fault)
            self.assertTrue(text_of(frame, s), fault)
            self.assertFalse(s.running)
            s.reset(1)
            self.assertEqual(outcome(s.step([1, 1, 1]))[1], 0)
            self.assertEqual(len(made), 2)

    def test_sizes_that_do_not_match_at_the_first_reset(self):
        env = Small()
        env.get_state = lambda: np.zeros(5)
        with self.assertRaises(server.ProtocolError) as caught:
            session(env).reset(1)
        self.assertEqual(caught.exception.code, server.BAD_PAYLOAD)
        self.assertIn("state has shape (5,), expected (4,)", str(caught.exception))

    def test_reset_that_fails_is_tried_again_once(self):
        made = []

        def make(seed):
            env = Small()
            made.append(env)
            if len(made) in (1, 3, 4):
                env.reset = lambda: 1 / 0
            return env

        s = session(make)
        self.assertEqual(outcome(s.reset(1))[1], 0)
        self.assertEqual(len(made), 2)
        s.close()
        with self.assertRaises(server.ProtocolError) as caught:
            s.step([0, 0])
            s.reset(1)
        self.assertEqual(caught.exception.code, server.ENVIRONMENT_DEAD)

    def test_rewards_that_are_not_finite(self):
        s = session(Small([(float("nan"), False, {})]))
        s.reset(1)
        self.assertEqual(outcome(s.step([0, 0]))[1], server.ABORTED)


class Wire(unittest.TestCase):
    def test_frames_of_the_specification(self):
        self.assertEqual(server.make_frame(server.PING, 0x01020304, 5).hex(),
                         "51454e5601000a0004030201050000000000000000000000839154b600000000")
        self.assertEqual(server.pack_blocks(text="dead").hex(), "150006010400000004000000000000006465616400000000")

    def test_layout_of_the_specification(self):
        layout = server.Layout((2, 3, 3, 5, 1, 10), 2)
        self.assertEqual({name: part[0] for name, part in layout.parts.items()},
                         {"metrics": 16, "obs": 32, "state": 56, "units": 80, "available": 88, "alive": 96})
        self.assertEqual((layout.result_bytes, layout.step_bytes), (104, 8))

    def test_random_bytes(self):
        fuzz_server.main(20000)

    def test_sizes_are_bounded(self):
        for sizes in ((0, 1, 1, 0, 0, 1), (1 << 17, 1, 1, 0, 0, 1), (1 << 16, 1, 1 << 10, 0, 0, 1)):
            with self.assertRaises(server.ProtocolError):
                server.Layout(sizes, 0)


class Serving(unittest.TestCase):
    def serve(self, **changes):
        """One connection on a thread; the client's end."""
        ours, theirs = socket.socketpair()
        connection = server.Connection(theirs, lambda seed: mock_smac.MockSmac("3m"), options(**changes))
        thread = threading.Thread(target=connection.serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(ours.close)
        return ours

    def answer(self, sock, data):
        """Sends bytes and reads the error that they deserve."""
        sock.sendall(data)
        sock.settimeout(10)
        decoder = server.FrameDecoder()
        while True:
            frame = decoder.next()
            if frame is not None:
                return frame[0], server.unpack_blocks(frame[3])
            decoder.feed(sock.recv(4096))

    def hello(self, **changes):
        fields = dict(versions=np.array([1, 1], np.uint8), seed=np.uint64(1), heartbeat=np.float64(1), name="test")
        fields.update(changes)
        return server.make_frame(server.HELLO, 0, 1, server.pack_blocks(**fields))

    def check_error(self, data, code, **changes):
        kind, fields = self.answer(self.serve(**changes), data)
        self.assertEqual(kind, server.ERROR)
        self.assertEqual(int(fields[server.FIELDS["code"]][0]), code, fields)

    def test_handshakes_that_fail(self):
        self.check_error(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", server.BAD_FRAME)
        self.check_error(server.make_frame(server.STEP, 0, 1), server.BAD_STATE)
        self.check_error(self.hello(versions=np.array([2, 3], np.uint8)), server.VERSION)
        self.check_error(self.hello(heartbeat=np.float64("nan")), server.BAD_PAYLOAD)
        self.check_error(self.hello(), server.TOKEN, token=b"secret")
        self.check_error(self.hello(token=np.frombuffer(b"secreT", np.uint8)), server.TOKEN, token=b"secret")
        self.check_error(server.HEADER.pack(server.MAGIC, 1, 0, 1, 0, 1, 1 << 30, 0, 0, 0), server.TOO_LARGE)
        self.check_error(b"", server.TIMEOUT, handshake_timeout=0.1)

    def test_requests_out_of_order(self):
        for kind, session_change, sequence, code in ((server.STEP, 0, 2, server.BAD_STATE),
                                                     (server.PING, 1, 2, server.BAD_STATE),
                                                     (server.PING, 0, 3, server.BAD_STATE),
                                                     (server.WELCOME, 0, 2, server.BAD_STATE),
                                                     (server.RESET, 0, 2, server.BAD_PAYLOAD)):
            sock = self.serve()
            sock.sendall(self.hello())
            header = sock.recv(server.HEADER.size, socket.MSG_WAITALL)
            _, _, _, kind_got, number, _, size, _, _, _ = server.HEADER.unpack(header)
            sock.recv(size, socket.MSG_WAITALL)
            self.assertEqual(kind_got, server.WELCOME)
            got, fields = self.answer(sock, server.make_frame(kind, number + session_change, sequence))
            self.assertEqual((got, int(fields[server.FIELDS["code"]][0])), (server.ERROR, code))

    def test_command_lines_that_are_refused(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"secret\n")
            file.flush()
            for arguments, message in ((["--listen", "tcp:0.0.0.0:0"], "--allow-remote"),
                                       (["--listen", "tcp:0.0.0.0:0", "--allow-remote"], "token"),
                                       (["--listen", "nonsense"], "unix:PATH"), (["--arg", "x"], "NAME=VALUE"),
                                       (["--listen", "unix:" + file.name], "in use")):
                program = [sys.executable, server.__file__, "--env", "mock_smac:MockSmac"] + arguments
                done = subprocess.run(program, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30,
                                      stdout=subprocess.DEVNULL, universal_newlines=True)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(message, done.stderr)
            self.assertTrue(os.path.getsize(file.name) == 7)

    def test_client_and_server_in_python(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, QATTEN_TOKEN="secret")
            process = subprocess.Popen([sys.executable, server.__file__, "--env", "mock_smac:MockSmac", "--listen",
                                        "unix:%s/s" % folder], stdout=subprocess.PIPE, env=environment)
            try:
                endpoint = process.stdout.readline().decode().split()[1]
                with self.assertRaisesRegex(qatten_env_client.RemoteError, "token"):
                    qatten_env_client.RemoteMultiAgentEnv(endpoint)
                remote = qatten_env_client.RemoteMultiAgentEnv(endpoint, token="secret")
                direct = mock_smac.MockSmac("3m")
                self.assertEqual({k: v for k, v in remote.get_env_info().items() if k != "unit_dim"},
                                 direct.get_env_info())
                for episode in range(3):
                    remote.reset(seed=episode)
                    direct.reset(seed=(episode * 0x9E3779B97F4A7C15) % 2**64)
                    over = False
                    while not over:
                        actions = [row.index(1) for row in remote.get_avail_actions()]
                        self.assertEqual(remote.get_avail_actions(), direct.get_avail_actions())
                        reward, over, info = remote.step(actions)
                        expected = direct.step(actions)
                        self.assertAlmostEqual(reward, expected[0], places=6)
                        np.testing.assert_array_equal(remote.get_state(), direct.get_state())
                        np.testing.assert_array_equal(remote.get_obs(), [np.array(o) for o in direct.get_obs()])
                        self.assertEqual(remote.get_alive(), [unit.alive for unit in direct.allies])
                    self.assertEqual({k: info[k] for k in expected[2]}, expected[2])
                self.assertEqual(remote.get_stats()["battles_game"], 3)
                with self.assertRaises(ValueError):
                    remote.reset()
                    remote.step([0, 0, 0])
                remote.close()
            finally:
                process.terminate()
                self.assertEqual(process.wait(10), 0)
                process.stdout.close()


if __name__ == "__main__":
    unittest.main()
