"""A stand-in for SMAC: its interface and the layout of its observations and states, without StarCraft II.

    qatten_env_server.py --env mock_smac:MockSmac --arg map_name=3m

Standard library only, deterministic under its seed, and as unreliable as it is told to be (`faults`). The battle is a
sketch (units walk, shoot and die; whoever is left wins), good for tests and demonstrations and for nothing else.
"""

import math
import os
import random
import signal
import time
from array import array

# Map: agents, enemies, episode limit, bits of unit type, shields of allies and of enemies, as in SMAC.
MAPS = {
    "3m": (3, 3, 60, 0, 0, 0), "8m": (8, 8, 120, 0, 0, 0), "25m": (25, 25, 150, 0, 0, 0),
    "5m_vs_6m": (5, 6, 70, 0, 0, 0), "8m_vs_9m": (8, 9, 120, 0, 0, 0), "10m_vs_11m": (10, 11, 150, 0, 0, 0),
    "27m_vs_30m": (27, 30, 180, 0, 0, 0), "MMM": (10, 10, 150, 3, 0, 0), "MMM2": (10, 12, 180, 3, 0, 0),
    "2s3z": (5, 5, 120, 2, 1, 1), "3s5z": (8, 8, 150, 2, 1, 1), "3s5z_vs_3s6z": (8, 9, 170, 2, 1, 1),
    "3s_vs_3z": (3, 3, 150, 0, 1, 1), "3s_vs_4z": (3, 4, 200, 0, 1, 1), "3s_vs_5z": (3, 5, 250, 0, 1, 1),
    "1c3s5z": (9, 9, 180, 3, 1, 1), "2m_vs_1z": (2, 1, 150, 0, 0, 1), "corridor": (6, 24, 400, 0, 1, 0),
    "6h_vs_8z": (6, 8, 150, 0, 0, 1), "2s_vs_1sc": (2, 1, 300, 0, 1, 0), "so_many_baneling": (7, 32, 100, 0, 1, 0),
    "bane_vs_bane": (24, 24, 200, 2, 0, 0), "2c_vs_64zg": (2, 64, 400, 0, 1, 0),
}

# What can go wrong. Of the environment:
#   crash      step raises                     restart    SMAC's own way: (0, True, {}) after a restart of the game
#   exit       the process ends                hang       step never returns
#   freeze     the whole process stops         delay      step takes `delay` seconds; harmless
#   bad_shape  an observation one too long     bad_mask   an agent without an action
#   not_finite a NaN in the state
# Of the wire, for a server that looks at `transport_fault` (tests/remote/faulty_server.py):
#   truncate   half a frame, then the end      corrupt    a flipped bit
#   reset      the connection is reset         dribble    a few bytes at a time; harmless
#   slow_reader  the next request is read byte by byte; harmless
ENVIRONMENT_FAULTS = ("crash", "restart", "exit", "hang", "freeze", "delay", "bad_shape", "bad_mask", "not_finite")
TRANSPORT_FAULTS = ("truncate", "corrupt", "reset", "dribble", "slow_reader")

MAX_HEALTH, MAX_SHIELD, DAMAGE, ENEMY_DAMAGE = 45.0, 50.0, 6.0, 5.0
SIGHT, SHOOT, STRIDE, SIZE = 9.0, 6.0, 1.125, 32.0
MOVES = ((0, STRIDE), (0, -STRIDE), (STRIDE, 0), (-STRIDE, 0))


class Unit:
    def __init__(self, x, y, shield, kind):
        self.x, self.y, self.kind = x, y, kind
        self.health, self.shield, self.max_shield = MAX_HEALTH, shield, shield
        self.cooldown = 0

    @property
    def alive(self):
        return self.health > 0

    def hit(self, damage):
        absorbed = min(self.shield, damage)
        self.shield -= absorbed
        lost = min(self.health, damage - absorbed)
        self.health -= lost
        return absorbed + lost


class MockSmac:
    """faults: "kind@step, ..." happens at these steps of the object's life, "kind, ..." with the chance 1/fault_every at
    every step. What happened is appended to the file fault_log, and a fault@step that stands there does not come again."""

    def __init__(self, map_name="3m", seed=0, faults="", fault_every=50, fault_log="", delay=0.2, frozen=False,
                 continuing_episode=False):
        self.n_agents, self.n_enemies, self.episode_limit, self.bits, self.ally_shield, self.enemy_shield = MAPS[map_name]
        self.map_name, self._seed, self.frozen, self.delay = map_name, seed, frozen, delay
        self.shield_bits_ally, self.shield_bits_enemy, self.unit_type_bits = self.ally_shield, self.enemy_shield, self.bits
        self.continuing_episode = continuing_episode
        self.n_actions = 6 + self.n_enemies
        self.battles_won = self.battles_game = self.timeouts = self.force_restarts = 0
        self.total_steps = self._episodes = self._episode_steps = 0
        self.transport_fault = None
        self.max_reward = 10 * self.n_enemies + 200 + self.n_enemies * (MAX_HEALTH + MAX_SHIELD * self.enemy_shield)
        self._read_faults(faults, fault_every, fault_log)
        self.allies = self.enemies = None

    # SMAC's interface

    def reset(self, seed=None):
        self._episodes += 1
        if self.frozen and self._cache:
            self._episode_steps = 0
            return self.get_obs(), self.get_state()
        self.chance = random.Random(self._episode_name(seed))
        self.allies = self._team(9.0, self.n_agents, self.ally_shield)
        self.enemies = self._team(23.0, self.n_enemies, self.enemy_shield)
        self.last_action = [[0.0] * self.n_actions for _ in range(self.n_agents)]
        self._episode_steps = 0
        self._cache = None
        return self.get_obs(), self.get_state()

    def step(self, actions):
        available = self.get_avail_actions()
        for agent, action in enumerate(actions):
            assert available[agent][action] == 1, "Agent %d cannot perform action %d" % (agent, action)
        self.total_steps += 1
        self._fault = self._next_fault()
        outcome = self._suffer(self._fault)
        if outcome is not None:
            return outcome
        self._episode_steps += 1
        if self.frozen:
            over = self._episode_steps >= self.episode_limit
            return 0.0, over, {"battle_won": False, "dead_allies": 0, "dead_enemies": 0} if over else {}
        self._cache = None
        reward = self._battle(actions)
        return self._outcome(reward)

    def get_obs(self):
        return [self.get_obs_agent(i) for i in range(self.n_agents)] if not self._cached("obs") else self._cache["obs"]

    def get_obs_agent(self, i):
        me = self.allies[i]
        if self._fault == "bad_shape" and i == 0:
            return array("f", bytes(4 * self.get_obs_size() + 4))
        if not me.alive:
            return array("f", bytes(4 * self.get_obs_size()))
        row = [float(bit) for bit in self._moves(me)]
        available = self._targets(me)
        for k, enemy in enumerate(self.enemies):
            row += self._seen(me, enemy, float(available[k]), self.enemy_shield)
        for j, ally in enumerate(self.allies):
            if j != i:
                row += self._seen(me, ally, 1.0, self.ally_shield)
        row += [me.health / MAX_HEALTH] + self._shield(me, self.ally_shield) + self._kind(me)
        return array("f", row)

    def get_state(self):
        if self._cached("state"):
            return self._cache["state"]
        state = []
        for unit in self.allies:
            row = [unit.health / MAX_HEALTH, unit.cooldown / 15, (unit.x - 16) / SIZE, (unit.y - 16) / SIZE]
            row += self._shield(unit, self.ally_shield) + self._kind(unit)
            state += row if unit.alive else [0.0] * len(row)
        for unit in self.enemies:
            row = [unit.health / MAX_HEALTH, (unit.x - 16) / SIZE, (unit.y - 16) / SIZE]
            row += self._shield(unit, self.enemy_shield) + self._kind(unit)
            state += row if unit.alive else [0.0] * len(row)
        for row in self.last_action:
            state += row
        if self._fault == "not_finite":
            state[0] = math.nan
        return array("f", state)

    def get_avail_actions(self):
        if self._cached("available"):
            return self._cache["available"]
        return [self.get_avail_agent_actions(i) for i in range(self.n_agents)]

    def get_avail_agent_actions(self, i):
        me = self.allies[i]
        if self._fault == "bad_mask" and i == 0:
            return [0] * self.n_actions
        if not me.alive:
            return [1] + [0] * (self.n_actions - 1)
        return [0, 1] + self._moves(me) + self._targets(me)

    def get_obs_size(self):
        own = 1 + self.ally_shield + self.bits
        return 4 + self.n_enemies * (4 + 1 + self.enemy_shield + self.bits) + (self.n_agents - 1) * (4 + own) + own

    def get_state_size(self):
        return (self.n_agents * (4 + self.ally_shield + self.bits) + self.n_enemies * (3 + self.enemy_shield + self.bits)
                + self.n_agents * self.n_actions)

    def get_total_actions(self):
        return self.n_actions

    def get_env_info(self):
        return {"state_shape": self.get_state_size(), "obs_shape": self.get_obs_size(), "n_actions": self.n_actions,
                "n_agents": self.n_agents, "episode_limit": self.episode_limit}

    def get_stats(self):
        return {"battles_won": self.battles_won, "battles_game": self.battles_game, "battles_draw": self.timeouts,
                "win_rate": self.battles_won / self.battles_game, "timeouts": self.timeouts,
                "restarts": self.force_restarts}

    def get_unit_by_id(self, i):
        return self.allies[i]

    def save_replay(self):
        return "/replays/%s.SC2Replay" % self.map_name

    def seed(self):
        return self._seed

    def close(self):
        pass

    # The battle

    def _episode_name(self, seed):
        return str(seed) if seed is not None else "%s/%d" % (self._seed, self._episodes)

    def _team(self, x, count, shields):
        columns = max(1, math.isqrt(count))
        return [Unit(x + k % columns + self.chance.uniform(-0.5, 0.5), 16 + (k // columns - count / columns / 2) * 0.8
                     + self.chance.uniform(-0.3, 0.3), MAX_SHIELD * shields, k * self.bits // count)
                for k in range(count)]

    def _battle(self, actions):
        gained = 0.0
        self.last_action = [[0.0] * self.n_actions for _ in range(self.n_agents)]
        for i, action in enumerate(actions):
            self.last_action[i][action] = 1.0
            me = self.allies[i]
            me.cooldown = max(0, me.cooldown - 1)
            if me.alive and 2 <= action < 6:
                me.x, me.y = me.x + MOVES[action - 2][0], me.y + MOVES[action - 2][1]
            elif me.alive and action >= 6:
                gained += self._shoot(me, self.enemies[action - 6], DAMAGE)
        for enemy in self.enemies:
            enemy.cooldown = max(0, enemy.cooldown - 1)
            prey = min((ally for ally in self.allies if ally.alive), key=lambda a: distance(enemy, a), default=None)
            if not enemy.alive or prey is None:
                continue
            if distance(enemy, prey) <= SHOOT:
                self._shoot(enemy, prey, ENEMY_DAMAGE)
            else:
                angle = math.atan2(prey.y - enemy.y, prey.x - enemy.x)
                enemy.x, enemy.y = enemy.x + STRIDE * math.cos(angle), enemy.y + STRIDE * math.sin(angle)
        return gained

    def _shoot(self, shooter, target, damage):
        """Reward of the shot: damage, and 10 for the last one."""
        if shooter.cooldown or not target.alive:
            return 0.0
        shooter.cooldown = self.chance.choice((2, 2, 3))
        return target.hit(damage) + (0.0 if target.alive else 10.0)

    def _outcome(self, reward):
        dead_allies = sum(not unit.alive for unit in self.allies)
        dead_enemies = sum(not unit.alive for unit in self.enemies)
        won = dead_enemies == self.n_enemies and dead_allies < self.n_agents
        over = won or dead_allies == self.n_agents
        info = {"battle_won": won, "dead_allies": dead_allies, "dead_enemies": dead_enemies}
        if won:
            reward += 200
            self.battles_won += 1
        if not over and self._episode_steps >= self.episode_limit:
            over = True
            self.timeouts += 1
            if self.continuing_episode:
                info["episode_limit"] = True
        if over:
            self.battles_game += 1
        return reward / (self.max_reward / 20), over, info

    # The layout

    def _cached(self, what):
        """Frozen, the environment costs next to nothing: what is left is the wire."""
        if not self.frozen or self._fault:
            return False
        if self._cache is None:
            self._cache = {}
            content = {"obs": self.get_obs(), "state": self.get_state(), "available": self.get_avail_actions()}
            self._cache = content
        return what in self._cache

    _cache = None
    _fault = None

    def _moves(self, me):
        return [int(0 <= me.x + dx < SIZE and 8 <= me.y + dy < 24) for dx, dy in MOVES]

    def _targets(self, me):
        return [int(enemy.alive and distance(me, enemy) <= SHOOT) for enemy in self.enemies]

    def _seen(self, me, other, first, shields):
        gap = distance(me, other)
        if not other.alive or gap >= SIGHT:
            return [0.0] * (5 + shields + self.bits)
        return ([first, gap / SIGHT, (other.x - me.x) / SIGHT, (other.y - me.y) / SIGHT, other.health / MAX_HEALTH]
                + self._shield(other, shields) + self._kind(other))

    def _shield(self, unit, shields):
        return [unit.shield / unit.max_shield] if shields else []

    def _kind(self, unit):
        return [float(unit.kind == k) for k in range(self.bits)]

    # What goes wrong

    def _read_faults(self, faults, every, log):
        self._scripted, self._random, self._every, self._log = {}, [], every, log
        happened = []
        if log and os.path.exists(log):
            with open(log) as file:
                happened = file.read().split()
        for fault in filter(None, (word.strip() for word in faults.split(","))):
            kind, _, step = fault.partition("@")
            if kind not in ENVIRONMENT_FAULTS + TRANSPORT_FAULTS:
                raise ValueError("no fault is called %r" % kind)
            if not step:
                self._random.append(kind)
            elif fault not in happened:
                self._scripted[int(step)] = fault
        self._fate = random.Random("%s/%d/%d" % (self._seed, len(happened), os.getpid() if log else 0))

    def _next_fault(self):
        fault = self._scripted.pop(self.total_steps, None)
        if fault is None and self._random and self._fate.random() * self._every < 1:
            fault = self._fate.choice(self._random)
        if fault and self._log:
            descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(descriptor, (fault + "\n").encode())
            os.close(descriptor)
        return fault.partition("@")[0] if fault else None

    def _suffer(self, fault):
        self.transport_fault = fault if fault in TRANSPORT_FAULTS else None
        if fault == "crash":
            raise RuntimeError("the mock crashes as it was told to")
        if fault == "restart":
            self.force_restarts += 1
            return 0, True, {}
        if fault == "exit":
            os._exit(3)
        if fault == "hang":
            while True:
                time.sleep(60)
        if fault == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        if fault == "delay":
            time.sleep(self.delay)
        return None


def distance(a, b):
    return math.hypot(a.x - b.x, a.y - b.y)
