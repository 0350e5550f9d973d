"""play_game.py ENDPOINT: a Python trainer's view of a C++ environment; prints what it sees, for python_client_test.cpp."""

import sys

from qatten_env_client import RemoteMultiAgentEnv

env = RemoteMultiAgentEnv(sys.argv[1], seed=7)
print(sorted(env.get_env_info().items()))
for episode in range(3):
    env.reset()
    over = False
    while not over:
        actions = [max(a for a, free in enumerate(row) if free) for row in env.get_avail_actions()]
        reward, over, info = env.step(actions)
        print("%d %r %g %s" % (episode, actions, reward, " ".join("%g" % x for x in env.get_state())))
    print("ended", "episode_limit" if info.get("episode_limit") else "terminated")
try:
    env.reset()
    env.step([99] * env.n_agents)
except ValueError as error:
    print(error)
env.close()
