"""The server-rendered pages, Vietnamese first."""
