"""Amounts as the command line prints them; status and page use the same words (permafrost.amounts)."""

from permafrost.amounts import bytes_text, count_text, seconds_text

__all__ = ["bytes_text", "count_text", "seconds_text"]
