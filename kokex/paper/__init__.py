"""The paper exchange: matching, accounts, and the markets that drive them. Pure: time and chance are passed in."""
