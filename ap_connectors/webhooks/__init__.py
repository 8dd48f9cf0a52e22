"""`ap-webhooks`: receives webhooks of Vic.ai and Įvesk, stores them, and runs commands for them."""
