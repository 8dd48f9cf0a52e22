"""Singer target for Įvesk (Virtualus Apskaitininkas): documents to digitise, and errors for the accountant."""
