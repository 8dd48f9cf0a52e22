"""`make demo`: the main job end to end. Meltano reads the sandbox into DuckDB, and the demo checks that it ties."""
