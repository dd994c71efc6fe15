"""For machines without a network: SkyPilot's managed jobs ask public addresses before every look at a job.

Without an answer they wait for ever, and no setting turns it off. Imported by a .pth file of the tests' environment, so
that the API server's own children have it, too: the addresses become the API server's health page, on loopback.
"""

import importlib.abc
import importlib.machinery
import os
import sys

MODULE = "sky.backends.backend_utils"


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                port = os.environ["SKYPILOT_API_SERVER_LOCAL_PORT"]
                module._TEST_IP_LIST = [f"http://127.0.0.1:{port}/api/health"]

            spec.loader.exec_module = exec_module
        return spec


if os.environ.get("SKYPILOT_API_SERVER_LOCAL_PORT"):
    sys.meta_path.insert(0, _Finder())
