"""A made-up influencer market with known truth, for demonstrations, tests and benchmarks. No row of it is real."""

from demo.market import World, make_market
from demo.settings import MarketSettings

__all__ = ["MarketSettings", "World", "make_market"]
