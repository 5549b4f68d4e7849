"""A stand-in for W&B on this machine: the trace server and the bit of GraphQL that Weave's own client asks.

It keeps what arrives by id, counts what arrives twice, and can be made to fail as a network and a
service fail, so that a forwarder is tested against the real HTTP client of Weave:

    from llmwatch.testing.wandb_server import WandbServer

    with WandbServer() as server:
        os.environ.update(server.environment)
        server.faults.set(status_429=0.1, status_500=0.1, lost=0.1)
        ...
        assert server.kept.call("team/bot", row_id)["op_name"] == "StreamTable/answers"
"""

from __future__ import annotations

from llmwatch.testing.wandb_server.faults import Faults
from llmwatch.testing.wandb_server.kept import Kept
from llmwatch.testing.wandb_server.server import WandbServer

__all__ = ["Faults", "Kept", "WandbServer"]
