"""Whatever a process has to say is a line of JSON, also what libraries and defects say."""

import io
import json
import subprocess
import sys

from fairlead.runtime.logs import make_log

NOISY = """
import asyncio, logging, sys
from fairlead.runtime.logs import capture, make_log
log = make_log(sys.stderr, "json")
capture(log)
logging.getLogger("asyncio").warning("slow %s", "task")
logging.getLogger("asyncio").info("not worth a line")
log.info("own", object="Service/default/web")
raise RuntimeError("a defect")
"""


def test_libraries_and_defects_write_to_the_same_log() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOISY], capture_output=True, text=True, timeout=60, check=False
    )
    slow, own, defect = map(json.loads, done.stderr.splitlines())
    assert (slow["event"], slow["level"], slow["logger"]) == ("slow task", "warning", "asyncio")
    assert own["object"] == "Service/default/web"
    assert defect["event"] == "defect"
    assert "RuntimeError('a defect')" in defect["error"]
    assert "Traceback" in defect["traceback"]
    assert done.returncode == 1


def test_text_for_people_has_no_colours_off_a_terminal() -> None:
    stream = io.StringIO()
    make_log(stream, "text").warning("fails", what="lease")
    line = stream.getvalue()
    assert "fails" in line
    assert "what=lease" in line
    assert "\x1b" not in line
