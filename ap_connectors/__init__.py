"""What the plugins share: core, HTTP, the clients of both services, the bases of Singer plugins, and the commands."""
