"""`install`: ``import ignite`` resolves to fsm_engine, in processes that have not imported either library."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

PROGRAMS = {
    "modules are those of fsm_engine": """
        fsm_engine.compat.ignite.install()
        import ignite, ignite.engine, ignite.handlers.tensorboard_logger as board
        from ignite import distributed as idist
        from ignite.contrib.handlers import ProgressBar
        from ignite.engine import Engine, Events
        from ignite.metrics.metric import reinit__is_reduced
        assert Engine is fsm_engine.Engine and Events is fsm_engine.Events
        assert ignite.engine is fsm_engine.engine and idist is fsm_engine.distributed
        assert board.OutputHandler is fsm_engine.loggers.tensorboard.OutputHandler
        assert ignite.metrics.Accuracy is fsm_engine.metrics.Accuracy
        assert ignite.__version__ == "0.5.5"
        assert fsm_engine.engine.__spec__.name == "fsm_engine.engine"
        assert not [m.__file__ for m in list(sys.modules.values()) if "ignite/" in str(getattr(m, "__file__", ""))
                    and "fsm_engine" not in m.__file__]
    """,
    "missing names say what to use": """
        fsm_engine.compat.ignite.install()
        for statement in ("from ignite.handlers import VisdomLogger", "import ignite.handlers.visdom_logger",
                          "from ignite.handlers import visdom_logger", "from ignite.metrics import FID"):
            try:
                exec(statement)
            except ImportError as error:
                assert "Use " in str(error), error
            else:
                raise AssertionError(statement)
    """,
    "an earlier import of ignite is an error": """
        import ignite
        try:
            fsm_engine.compat.ignite.install()
        except RuntimeError as error:
            assert "before" in str(error) and "install()" in str(error)
        else:
            raise AssertionError
        assert "fsm_engine" not in ignite.__file__
    """,
    "a second call does nothing, and adapt returns the engine itself": """
        fsm_engine.compat.ignite.install()
        count = len(sys.meta_path)
        fsm_engine.compat.ignite.install()
        assert len(sys.meta_path) == count
        engine = fsm_engine.Engine(lambda engine, batch: batch)
        assert fsm_engine.compat.ignite.adapt(engine) is engine
        from ignite.handlers import TerminateOnNan
        from ignite.engine import Events
        engine.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
        assert engine.run([1.0, float("nan"), 2.0]).iteration == 2
    """,
    "an installed ignite is found without install": """
        import ignite
        assert "site-packages" in ignite.__file__ and not fsm_engine.compat.ignite.import_hook.is_installed()
    """,
}


def test_programs_in_fresh_processes() -> None:
    code = """
        import os, sys, torch
        for name, program in zip(sys.argv[1::2], sys.argv[2::2]):
            if os.fork() == 0:
                import fsm_engine.compat.ignite, fsm_engine.distributed, fsm_engine.handlers, fsm_engine.loggers
                exec(program)
                os._exit(0)
            assert os.wait()[1] == 0, name
    """
    arguments = [text for name, program in PROGRAMS.items() for text in (name, textwrap.dedent(program))]
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
