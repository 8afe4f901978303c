"""The project's repository; the only room that knows git and dulwich."""
