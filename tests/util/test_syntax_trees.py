"""Source places are found in several threads at once."""

from __future__ import annotations

import gc
import threading
import time
from argparse import ArgumentParser

from fsm_engine.engine.explain import source_place


def test_places_of_classes_are_found_in_several_threads_at_once() -> None:
    parser, found, threshold = ArgumentParser(), [], gc.get_threshold()

    def find() -> None:
        found.extend([source_place(parser), source_place(parser)])

    def switch(*_: object) -> None:
        time.sleep(0)  # lets another thread run in the middle of a syntax tree

    gc.callbacks.append(switch)
    gc.set_threshold(100)
    try:
        threads = [threading.Thread(target=find) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(switch)
    assert len(found) == 8
    assert {place.rpartition(":")[0] for place in found} == {ArgumentParser.__init__.__code__.co_filename}
