"""Views that answer questions: one file of SQL for each in `sql`, and what installs them into a warehouse."""
