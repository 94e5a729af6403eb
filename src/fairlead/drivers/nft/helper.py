"""The process that holds libnftables, so that a crash in it cannot take the agent down.

It is a process and not ``nft -f -`` per change because the kernel makes the exit of whoever
deleted an element wait for a grace period (16 ms measured), while a socket that stays open does
not wait (0.2 ms). It is run by path and imports nothing of the project, so that it starts in
milliseconds. It ends when its input does, and ignores the signals meant for the agent, which may
still want to withdraw.

A request is the length (u32) and a flag byte (1: answer in JSON), then the text. An answer is the
result (i32), the lengths of output and errors (u32 each), then both.
"""

import ctypes
import os
import signal
import struct
import sys
from typing import BinaryIO

REQUEST = struct.Struct("=IB")
ANSWER = struct.Struct("=iII")
JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON
_CLONE_NEWNET = 0x4000_0000


def load() -> ctypes.CDLL:
    """The library with its prototypes."""
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    return library


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Run one request after the other until there are no more."""
    library = load()
    context = library.nft_ctx_new(0)
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, json = REQUEST.unpack(head)
        library.nft_ctx_output_set_flags(context, JSON if json else 0)
        result = library.nft_run_cmd_from_buffer(context, requests.read(length))
        output = library.nft_ctx_get_output_buffer(context)
        errors = library.nft_ctx_get_error_buffer(context)
        try:
            answers.write(ANSWER.pack(result, len(output), len(errors)) + output + errors)
            answers.flush()
        except BrokenPipeError:
            # Whoever asked is gone. Leave without the flush at exit, which would fail again.
            os._exit(0)


def enter(path: str) -> None:
    """Move this whole process into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path) as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if len(sys.argv) > 1:
        enter(sys.argv[1])
    serve(sys.stdin.buffer, sys.stdout.buffer)
