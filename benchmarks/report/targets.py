"""What was asked for, beside which the measured numbers stand."""

# (what, program, benchmark with {} for the map, at most), as ratios to the floor
FLOORS = (
    ("Qatten: forward, backward", "mixers", "qatten/{}/forward_backward", 1.25),
    ("Qatten (PyMARL2): forward, backward", "mixers", "qatten-pymarl2/{}/forward_backward", 1.25),
    ("QMIX: forward, backward", "mixers", "qmix/{}/forward_backward", 1.25),
    ("VDN: forward, backward", "mixers", "vdn/{}/forward_backward", 1.25),
    ("GRU agent: forward, backward", "agents", "gru/{}/forward_backward", 1.25),
    ("update, Qatten", "learner", "qatten/{}/update", 1.3),
    ("update, QMIX", "learner", "qmix/{}/update", 1.3),
    ("update, VDN", "learner", "vdn/{}/update", 1.3),
    ("update in tiles, Qatten", "learner", "qatten/{}/tiles", 1.3),
    ("update in tiles, QMIX", "learner", "qmix/{}/tiles", 1.3),
    ("update in tiles, VDN", "learner", "vdn/{}/tiles", 1.3),
)

# (case, threads, mode): how many times as fast as PyTorch, at least
AIMS = {
    ("qatten/forward_backward", 1, "eager"): 4,
    ("qatten-pymarl2/forward_backward", 1, "eager"): 4,
    ("qmix/forward_backward", 1, "eager"): 1.7,
    ("gru/forward_backward", 1, "eager"): 1.7,
    ("qatten/update", 1, "eager"): 2.5,
    ("qatten-pymarl2/update", 1, "eager"): 2.5,
    ("qmix/update", 1, "eager"): 2.5,
    ("vdn/update", 1, "eager"): 2.5,
    ("qatten/one_row", 1, "eager"): 100,
    ("qatten-pymarl2/one_row", 1, "eager"): 100,
    ("qmix/one_row", 1, "eager"): 100,
    ("gru/act", 1, "eager"): 10,
}

# Microseconds at most: one row through Qatten at 3m, one decision of the team at 2s3z.
ONE_ROW = ("mixers", "qatten/3m/evaluate_one", 1.0)
DECISION = ("agents", "gru/2s3z/greedy", 5.0)
# At MMM2, two threads over one.
SPEEDUP = ("learner", "{}/MMM2/threads", 1.7)
