"""The Įvesk half: the REST API, its two queues and its object storage, emulated."""
