"""Text made to hurt: it is read in a process of its own, because a reader could take that down."""

import subprocess
import sys

HOSTILE = r"""
import random, sys, time
from io import BytesIO
from bench.worldgen import manifests
from fairlead.sources.files.content import Content, from_stream

random.seed(int(sys.argv[1]))
GOOD = [text for text in manifests(40)] + [
    "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n",
    "a: |\n  b\n\n   c\nd: >-\n  e\nf: \"\\u00e9\\\n  g\"\n",
    "[a, {b: c, \"d\": [1, 2.5, true]}, !!str x, !t y]",
    "%YAML 1.2\n%TAG ! tag:x,2000:\n---\n!a b\n",
    "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"kind\": \"Node\"}, null, [1]]}",
]
TOKENS = [
    "\t", " ", "\n", "- ", ": ", "? ", "|", ">", "&a ", "*a", "!", "!!int ", "%", "@", "`", '"',
    "'", "{", "}", "[", "]", ",", "#", " #", "---", "...", "\r", "\x85", "\u2028", "\ufeff", "\x00",
    "\x7f", "\U0010ffff", "\\", "<<: ", "~", "0x", "1e999", ".nan", "|+2", "!<", '"\\x', "\\u",
    "null", "yes", "items:", "kind: List", "metadata:", "9" * 40,
]

def mangled(text):
    text = list(text[:2000])
    for _ in range(random.choice((1, 1, 2, 4, 8, 30))):
        where, token = random.randrange(len(text) + 1), random.choice(TOKENS)
        match random.randrange(6):
            case 0 | 1: text[where:where] = token
            case 2: del text[where : where + random.choice((1, 3, 50))]
            case 3: text[where : where + 1] = token
            case 4: text[where:where] = token * random.choice((2, 40))
            case 5: text[where:where] = text[: random.choice((5, 300))]
    return "".join(text).encode()

slowest = 0.0
for _ in range(int(sys.argv[2])):
    data = mangled(random.choice(GOOD))
    if random.random() < 0.1:
        data = bytes(byte ^ (random.random() < 0.02) * random.randrange(256) for byte in data)
    start = time.process_time()
    content = from_stream(BytesIO(data), "hostile.yaml", Content("hostile.yaml"))
    slowest = max(slowest, time.process_time() - start)
    for problem in content.problems:
        assert len(str(problem).encode()) < 2000
        assert problem.message.isprintable(), problem
assert slowest < 1, slowest
"""


def test_thousands_of_mangled_documents_neither_crash_nor_hang() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, "1", "20000"], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
