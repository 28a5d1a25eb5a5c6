"""Telegram, through python-telegram-bot: imported only when there is a token."""
