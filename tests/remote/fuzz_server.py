"""fuzz_server.py [INPUTS]: random and damaged bytes for what the Python side decodes. Only ProtocolError may come out,
and nothing may be held beyond the frame limit."""

import random
import struct
import sys

import numpy as np

import qatten_env_server as server


def sound_messages():
    hello = server.pack_blocks(versions=np.array([1, 1], np.uint8), seed=np.uint64(3), heartbeat=np.float64(1), name="x",
                               token=np.frombuffer(b"secret", np.uint8))
    step = struct.pack("<3i", 1, 2, 3)
    return [server.make_frame(server.HELLO, 0, 1, hello), server.make_frame(server.STEP, 5, 2, step),
            server.make_frame(server.RESET, 5, 3, bytes(32)), server.make_frame(server.CLOSE, 5, 4)]


def decode(data, piece):
    decoder = server.FrameDecoder()
    decoder.limit = 4096
    for start in range(0, len(data), piece):
        decoder.feed(data[start : start + piece])
        frame = decoder.next()
        while frame is not None:
            read(frame[3])
            frame = decoder.next()
        assert len(decoder.buffer) <= server.HEADER.size + decoder.limit + piece


def read(payload):
    fields = server.unpack_blocks(payload)
    server.take(fields, "versions", np.uint8, 2)
    server.take(fields, "seed", np.uint64, 1)
    server.take(fields, "name", str)


def main(inputs):
    chance = random.Random(1)
    messages = sound_messages()
    passed = 0
    for k in range(inputs):
        if k % 4 == 0:
            data = bytearray(chance.getrandbits(8) for _ in range(chance.randrange(120)))
        else:
            data = bytearray(chance.choice(messages))
            for _ in range(chance.randrange(4)):
                data[chance.randrange(len(data))] = chance.choice((0, 255, chance.getrandbits(8)))
        try:
            if k % 2:  # past the checksum, which damaged frames do not get through
                read(bytes(data[server.HEADER.size :]))
            else:
                decode(bytes(data), chance.choice((1, 7, 4096)))
            passed += 1
        except server.ProtocolError:
            pass
    assert 0 < passed < inputs
    print("%d inputs, %d of them sound" % (inputs, passed))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20000)
