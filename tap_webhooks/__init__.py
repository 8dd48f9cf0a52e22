"""`tap-webhooks`: what `ap-webhooks` has received, as a Singer tap."""
