"""Structs to words and tables: the same for a terminal and for a phone. Pure; knows no colours and no screen."""
