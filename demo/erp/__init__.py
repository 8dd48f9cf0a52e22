"""The third part of the demo: an ERP's master data goes into Vic.ai."""
