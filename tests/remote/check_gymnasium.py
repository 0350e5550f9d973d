"""check_gymnasium.py: a manual check with environments that nobody here wrote. Needs gymnasium.

Plays random episodes of Gymnasium's own environments directly and through the server, which must be the same to the last
bit of a float, ends and action masks included."""

import subprocess
import sys
import tempfile

import gymnasium
import numpy as np

import qatten_env_client
import qatten_env_server as server


def check(name, episodes, limit=None):
    direct = gymnasium.make(name)
    _, encode = server.observation_encoder(direct.observation_space)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, server.__file__, "--env", "gymnasium:make", "--positional", name,
                   "--listen", "unix:%s/s" % folder] + (["--episode-limit", str(limit)] if limit else [])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        env = qatten_env_client.RemoteMultiAgentEnv(process.stdout.readline().decode().split()[1])
        chance, steps, total = np.random.default_rng(1), 0, 0.0
        for episode in range(episodes):
            env.reset(seed=episode)
            observation, info = direct.reset(seed=(episode * 0x9E3779B97F4A7C15) % 2**64 % 2**31)
            over = False
            while not over:
                mask = info.get("action_mask", np.ones(direct.action_space.n))
                assert env.get_avail_actions()[0] == [int(bit) for bit in mask]
                assert np.array_equal(env.get_obs()[0], np.asarray(encode(observation), np.float32))
                action = int(chance.choice(np.flatnonzero(mask)))
                reward, over, seen = env.step([action])
                observation, expected, terminated, truncated, info = direct.step(action)
                assert reward == np.float32(expected) and over == (terminated or truncated)
                assert seen.get("episode_limit", False) == (truncated and not terminated)
                steps, total = steps + 1, total + reward
        env.close()
        process.terminate()
        process.wait(10)
        process.stdout.close()
    print("%-16s %4d episodes, %6d steps, mean return %8.2f: the same" % (name, episodes, steps, total / episodes))


print("gymnasium", gymnasium.__version__)
for name in ("CartPole-v1", "MountainCar-v0", "Acrobot-v1", "FrozenLake-v1", "Taxi-v4"):
    check(name, 20)
check("Blackjack-v1", 200, limit=50)
