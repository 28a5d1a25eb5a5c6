"""How good a forecast is: honest scores over rolling origins, and who wins, significance included."""
