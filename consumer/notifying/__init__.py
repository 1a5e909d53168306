"""Notifications by Apprise, sent from the sandbox. Behind `notification.send`."""
