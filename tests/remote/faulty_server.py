"""The server as it is, except that what it sends suffers the transport faults that the mock environment asks for."""

import os
import socket
import struct
import time

import qatten_env_server as server


class FaultyConnection(server.Connection):
    dawdle = False

    def _fault(self):
        adapter = self.session.adapter if self.session else None
        env = getattr(adapter, "env", None)
        fault = getattr(env, "transport_fault", None)
        if fault:
            env.transport_fault = None
        return fault

    def transmit(self, frame):
        kind = struct.unpack_from("<H", frame, 6)[0]
        fault = self._fault() if kind == server.RESULT else None
        if fault == "truncate":
            super().transmit(frame[: len(frame) // 2])
            os._exit(4)
        if fault == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os._exit(5)
        if fault == "corrupt":
            frame = bytearray(frame)
            frame[struct.unpack_from("<I", frame, 24)[0] % len(frame)] ^= 1 << (len(frame) % 8)
        if fault == "dribble":
            for start in range(0, len(frame), 97):
                super().transmit(frame[start : start + 97])
                time.sleep(0.001)
            return
        if fault == "slow_reader":
            self.dawdle = True
        super().transmit(frame)

    def _receive(self, timeout):
        if self.dawdle:
            self.dawdle = False
            frame = self.decoder.next()
            while frame is None:
                data = self.sock.recv(1)
                if not data:
                    raise server.ConnectionLost("closed")
                self.decoder.feed(data)
                time.sleep(0.001)
                frame = self.decoder.next()
            return frame
        return super()._receive(timeout)


if __name__ == "__main__":
    server.main(connection=FaultyConnection)
