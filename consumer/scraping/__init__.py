"""Pages of other people: what may be asked, what is on them. Behind `web.scrape`."""
