"""config.toml and the environment -> frozen structs: `load`. An unknown or wrong key is a `ConfigError` naming it."""

from kokex.config.llm import Fallback, Llm, Shares
from kokex.config.memory import Memory
from kokex.config.news import News
from kokex.config.reading import SECRETS, ConfigError, load
from kokex.config.schema import (
    Account,
    Brain,
    Config,
    Control,
    Edges,
    Executor,
    Forecast,
    Kronos,
    Log,
    Market,
    Mode,
    Paper,
    Parameters,
    Plan,
    PlanTable,
    Risk,
    Secrets,
    Store,
)
from kokex.config.telegram import Alerts, Telegram
from kokex.config.training import Training
from kokex.config.venue import Venue

__all__ = [
    "SECRETS",
    "Account",
    "Alerts",
    "Brain",
    "Config",
    "ConfigError",
    "Control",
    "Edges",
    "Executor",
    "Fallback",
    "Forecast",
    "Kronos",
    "Llm",
    "Log",
    "Market",
    "Memory",
    "Mode",
    "News",
    "Paper",
    "Parameters",
    "Plan",
    "PlanTable",
    "Risk",
    "Secrets",
    "Shares",
    "Store",
    "Telegram",
    "Training",
    "Venue",
    "load",
]
