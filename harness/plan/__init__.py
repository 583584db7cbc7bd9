"""From a scenario to a plan: the orders to run, or how many races; and replay texts."""

from harness.plan.orders import Orders
from harness.plan.plan import Order, Plan, count_orders, make_plan, with_order
from harness.plan.replay import Replay, parse_replay, replay_text

__all__ = [
    "Order",
    "Orders",
    "Plan",
    "Replay",
    "count_orders",
    "make_plan",
    "parse_replay",
    "replay_text",
    "with_order",
]
