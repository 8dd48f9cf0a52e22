"""An offline, stateful emulator of the services that the connectors talk to, over real HTTP on 127.0.0.1."""
