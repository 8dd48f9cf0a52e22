"""`make demo`: every job, end to end, with the project's own commands; `ap-tieout` judges."""
