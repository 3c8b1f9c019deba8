"""The fixtures of `browser_pages`, for the tests of this folder."""

from browser_pages import browser, pages, visit

__all__ = ["browser", "pages", "visit"]
