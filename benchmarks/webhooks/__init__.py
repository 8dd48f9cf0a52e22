"""How fast the receiver of webhooks answers under load."""
