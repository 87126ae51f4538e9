"""How tests start what they stop, and wait: the same however they were started, and however busy the machine is."""

import signal
import subprocess
import threading
import time
import urllib.request

HANG = 600  # seconds; nothing is that slow, so what has not happened by then never will
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(command, *, ignored=(), **options):
    """Start a program in which no signal is ignored but those given; it is killed when it hangs."""

    def set_signals():
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    process = subprocess.Popen(command, preexec_fn=set_signals, **options)
    late = threading.Timer(HANG, process.kill)
    late.daemon = True
    late.start()
    return process


def wait_until(happened, what):
    """Return what the function gives as soon as that is true."""
    late = time.monotonic() + HANG
    while not (given := happened()):
        assert time.monotonic() < late, f"never happened: {what}"
        time.sleep(0.05)
    return given


def wait_for_server(address, process, log):
    """Return once a server answers there."""

    def answers():
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            return False
        return True

    wait_until(answers, f"{address} answers")
