"""How often something goes wrong, over the last few times: told once when it is too often, and once when it is over."""

from collections import deque
from typing import final

WINDOW = 20
FEWEST = 5


@final
class Rate:
    def __init__(self, what: str, worst: float) -> None:
        """`what` went wrong, as in "3 of the last 20 WHAT"; `worst`: the share that is still bearable."""
        self._what = what
        self._worst = worst
        self._last: deque[bool] = deque(maxlen=WINDOW)
        self._told = False

    def count(self, wrong: bool) -> str:
        """Takes in one more; what to tell a person, if anything."""
        self._last.append(wrong)
        bad, all_of_them = sum(self._last), len(self._last)
        if all_of_them < FEWEST:
            return ""
        too_often = bad / all_of_them > self._worst
        if too_often == self._told or (not too_often and bad / all_of_them > self._worst / 2):
            return ""
        self._told = too_often
        return f"{bad} of the last {all_of_them} {self._what}" + ("" if too_often else ": better again")
