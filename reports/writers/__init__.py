"""One document as HTML, Markdown, terminal output and files for CI."""
