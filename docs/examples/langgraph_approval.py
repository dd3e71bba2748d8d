"""A LangGraph agent that asks a person before it deploys.

The graph interrupts in LangChain's human-in-the-loop shape. VX11 takes that shape as it is, and answers in kind: what
comes back is what the graph is resumed with.

    pip install langgraph requests
    VX11_TOKEN=... python langgraph_approval.py production
"""

import os
import sys
import uuid
from typing import TypedDict

import requests
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

VX11 = os.environ.get("VX11_URL", "http://127.0.0.1:8000")
vx11 = requests.Session()
vx11.headers["x-vx11-token"] = os.environ["VX11_TOKEN"]


class Deployment(TypedDict):
    environment: str
    result: str


def deploy(state: Deployment) -> Deployment:
    """Asks, and does what the person decided."""
    [answer] = interrupt(
        [
            {
                "action_request": {"action": "deploy", "args": {"environment": state["environment"]}},
                "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
                "description": "The tests are green; the last deployment was yesterday.",
            }
        ]
    )
    match answer["type"]:
        case "accept" | "edit":
            return {"result": f"deployed to {answer['args']['args']['environment']}"}
        case "response":
            return {"result": f"not deployed: {answer['args']}"}
        case _:
            return {"result": "not deployed"}


def decide(question: list, key: str) -> list:
    """Has a person answer `question`. Asked again with the same key, it is the same question."""
    made = vx11.post(VX11 + "/operator/api/interventions", json=question, headers={"Idempotency-Key": key})
    made.raise_for_status()
    address = VX11 + made.headers["Location"]
    print(f"waiting for a person: {address}", file=sys.stderr, flush=True)
    answer = made.json()["data"]
    while not isinstance(answer, list):
        waited = vx11.get(address + "/wait", params={"timeout_seconds": 50})
        waited.raise_for_status()
        answer = waited.json()["data"]
    # A decision is good for one run: who comes second is told so here, and must not act.
    decision = vx11.get(address).json()["data"]["decision"] or {}
    vx11.post(address + "/redeem", json={"args_digest": decision.get("args_digest")}).raise_for_status()
    return answer


def main(environment: str) -> str:
    graph = StateGraph(Deployment)
    graph.add_node("deploy", deploy)
    graph.add_edge(START, "deploy")
    graph.add_edge("deploy", END)
    agent = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": str(uuid.uuid4())}}

    state = agent.invoke({"environment": environment}, thread)
    while "__interrupt__" in state:
        [question] = state["__interrupt__"]
        state = agent.invoke(Command(resume=decide(question.value, question.id)), thread)
    return state["result"]


if __name__ == "__main__":
    print(main(sys.argv[1]))
