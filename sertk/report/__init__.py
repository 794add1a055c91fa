"""Reports: tables and figures of an experiment folder, as one HTML page and as Markdown."""
