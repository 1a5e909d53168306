"""Documents that are generated, one file each: `PATH` under the project's root and `text()`."""
